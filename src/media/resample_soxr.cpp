// Resampling by libsoxr: recipe HQ, linear phase, float32, one thread.
#include <soxr.h>

#include <algorithm>
#include <array>

#include "media/sound_readers.h"

namespace fourfold {
namespace {

struct SoxrDelete {
  void operator()(soxr* resampler) const { soxr_delete(resampler); }
};
using SoxrPtr = std::unique_ptr<soxr, SoxrDelete>;

class SoxrResampler final : public Resampler {
 public:
  SoxrResampler(SoxrPtr soxr, int rate) : soxr_(std::move(soxr)), rate_(rate) {}

  Status push(std::span<const float> samples, std::vector<float>& out) override {
    n_in_ += static_cast<std::int64_t>(samples.size());
    while (!samples.empty()) {
      const std::size_t n_used = TRY(process(samples.data(), samples.size(), out)).n_used;
      samples = samples.subspan(n_used);
    }
    return {};
  }

  // soxr takes the delay of its filter off at both ends. Where its rounding of the length differs
  // by one from ours, the last sample is left out or repeated as silence.
  Status finish(std::vector<float>& out) override {
    while (TRY(process(nullptr, 0, out)).n_made > 0) {
    }
    const std::int64_t wanted = (n_in_ * kSampleRate + rate_ - 1) / rate_;
    const auto length = static_cast<std::int64_t>(out.size()) + wanted - n_out_;
    out.resize(static_cast<std::size_t>(std::max<std::int64_t>(length, 0)), 0.0f);
    return {};
  }

 private:
  struct Progress {
    std::size_t n_used = 0, n_made = 0;
  };

  Result<Progress> process(const float* samples, std::size_t n, std::vector<float>& out) {
    Progress progress;
    const auto error = soxr_process(soxr_.get(), samples, n, &progress.n_used, made_.data(),
                                    made_.size(), &progress.n_made);
    if (error) return internal_error("resampling: {}", error);
    if (samples && progress.n_used == 0 && progress.n_made == 0) {
      return internal_error("resampling: no progress");
    }
    out.insert(out.end(), made_.begin(),
               made_.begin() + static_cast<std::ptrdiff_t>(progress.n_made));
    n_out_ += static_cast<std::int64_t>(progress.n_made);
    return progress;
  }

  SoxrPtr soxr_;
  int rate_;
  std::int64_t n_in_ = 0, n_out_ = 0;
  std::array<float, 4096> made_;
};

}  // namespace

Result<std::unique_ptr<Resampler>> make_resampler(int rate) {
  const auto io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const auto quality = soxr_quality_spec(SOXR_HQ | SOXR_LINEAR_PHASE, 0);
  const auto runtime = soxr_runtime_spec(1);
  soxr_error_t error = nullptr;
  SoxrPtr soxr(soxr_create(rate, kSampleRate, 1, &error, &io, &quality, &runtime));
  if (error || !soxr) {
    return internal_error("resampling from {} Hz: {}", rate, error ? error : "out of memory");
  }
  return std::unique_ptr<Resampler>(std::make_unique<SoxrResampler>(std::move(soxr), rate));
}

}  // namespace fourfold
