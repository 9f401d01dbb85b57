#include <algorithm>
#include <utility>

#include "media/log_mel.h"
#include "media/sound.h"
#include "model/audio/audio_model.h"
#include "model/audio/audio_weights.h"
#include "model/audio/conformer.h"
#include "model/audio/subsampling.h"

namespace fourfold {
namespace {

// More rows in a pass would not make it faster: their activations leave the cache.
constexpr std::int64_t kPassRows = 128;

MatView rows_of(std::vector<float>& values, std::int64_t width) {
  return {values.data(), static_cast<std::int64_t>(values.size()) / width, width, width};
}

}  // namespace

// What is carried from piece to piece, and scratch.
struct AudioEncoder::State {
  State(const AudioModel& model, const AudioWeights& w, Ops& o, AudioEncoderOptions opt)
      : config(model.config()),
        weights(w),
        ops(o),
        options(opt),
        subsampling(w, config.rms_eps, o),
        conformer(w, config, o) {}

  // Rows of the encoder's front: mel rows, or frames of the unified form.
  std::int64_t front_width() const { return config.unified ? kUnifiedFrame : kMelBins; }

  Result<std::int64_t> push(std::span<const float> samples, std::vector<float>& rows);
  void push_front(MatView features, const AudioTap* tap, std::vector<float>& rows);
  void finish(const AudioTap* tap, std::vector<float>& rows);
  void reset();
  // Encodes what waits: as much as passes of the least size hold, or all.
  void encode_waiting(bool all, const AudioTap* tap, std::vector<float>& rows);
  void encode(MatView in, const AudioTap* tap, MatView out);
  void project(MatView in, MatView out);

  const AudioConfig& config;
  const AudioWeights& weights;
  Ops& ops;
  AudioEncoderOptions options;
  LogMel mel;
  Subsampling subsampling;
  Conformer conformer;
  std::int64_t n_samples = 0;  // of the block
  std::vector<float> front;    // mel rows of a push; the unified form's incomplete frame
  std::vector<float> waiting;  // rows that no pass has taken yet
  std::vector<float> x, out, normed;
  Activations activations;
};

Result<std::int64_t> AudioEncoder::State::push(std::span<const float> samples,
                                               std::vector<float>& rows) {
  const auto n = static_cast<std::int64_t>(samples.size());
  if (!config.unified && n_samples + n > kBlockSamples) {
    return invalid_argument("audio: a block of {} samples, expected at most {} (30 s)",
                            n_samples + n, kBlockSamples);
  }
  n_samples += n;
  const std::size_t before = rows.size();
  if (config.unified) {
    front.insert(front.end(), samples.begin(), samples.end());
    const MatView frames = rows_of(front, kUnifiedFrame);  // the whole ones
    push_front(frames, nullptr, rows);
    front.erase(front.begin(), front.begin() + frames.n_rows * kUnifiedFrame);
  } else {
    front.clear();
    mel.push(samples, front);
    push_front(rows_of(front, kMelBins), nullptr, rows);
  }
  return static_cast<std::int64_t>(rows.size() - before) / config.text_width;
}

void AudioEncoder::State::push_front(MatView features, const AudioTap* tap,
                                     std::vector<float>& rows) {
  if (config.unified) {
    for (std::int64_t r = 0; r < features.n_rows; ++r) {
      waiting.insert(waiting.end(), features.row(r), features.row(r) + kUnifiedFrame);
    }
  } else {
    subsampling.push(features, tap, waiting);
  }
  encode_waiting(false, tap, rows);
}

// A last frame of the unified form is filled up with zeros.
void AudioEncoder::State::finish(const AudioTap* tap, std::vector<float>& rows) {
  if (!config.unified) {
    subsampling.finish(tap, waiting);
  } else if (!front.empty()) {
    front.resize(kUnifiedFrame, 0.0f);
    waiting.insert(waiting.end(), front.begin(), front.end());
  }
  encode_waiting(true, tap, rows);
  reset();
}

void AudioEncoder::State::reset() {
  mel.reset();
  subsampling.reset();
  conformer.reset();
  front.clear();
  waiting.clear();
  n_samples = 0;
}

void AudioEncoder::State::encode_waiting(bool all, const AudioTap* tap, std::vector<float>& rows) {
  const std::int64_t width = config.unified ? kUnifiedFrame : kSubsampledWidth;
  const MatView in = rows_of(waiting, width);
  const std::int64_t least = all ? 1 : std::max(1, options.least_rows);
  std::int64_t done = 0;
  while (in.n_rows - done >= least) {
    const std::int64_t n = std::min(kPassRows, in.n_rows - done);
    const std::size_t first = rows.size();
    rows.resize(first + static_cast<std::size_t>(n * config.text_width));
    encode(in.rows(done, n), tap, {rows.data() + first, n, config.text_width, config.text_width});
    done += n;
  }
  waiting.erase(waiting.begin(), waiting.begin() + done * width);
}

void AudioEncoder::State::encode(MatView in, const AudioTap* tap, MatView rows) {
  if (config.unified) {
    project(in, rows);
    return;
  }
  x.resize(static_cast<std::size_t>(in.n_rows * config.width));
  const MatView hidden = rows_of(x, config.width);
  activations.set(in);
  ops.matmul(weights.input, activations, hidden);
  if (tap) (*tap)("subsampled", -1, hidden);
  conformer.forward(hidden, tap);

  out.resize(static_cast<std::size_t>(in.n_rows * config.output_width));
  const MatView output = rows_of(out, config.output_width);
  activations.set(hidden);
  ops.matmul(weights.output, activations, output);
  ops.for_rows(output.n_rows, [&](std::int64_t r) {
    ops.kernels().add(output.row(r), weights.output_bias, config.output_width);
  });
  if (tap) (*tap)("tower_out", -1, output);
  project(output, rows);
}

// The norm comes first, as in the reference that was run (audio.md 6).
void AudioEncoder::State::project(MatView in, MatView rows) {
  normed.resize(static_cast<std::size_t>(in.n_rows * in.n_cols));
  const MatView unit = rows_of(normed, in.n_cols);
  ops.rms_norm(in, nullptr, config.rms_eps, unit);
  activations.set(unit);
  ops.matmul(weights.projection, activations, rows);
}

AudioEncoder::AudioEncoder(std::shared_ptr<const AudioModel> model, Ops& ops,
                           AudioEncoderOptions options)
    : model_(std::move(model)),
      s_(std::make_unique<State>(*model_, *model_->weights_, ops, options)) {}

AudioEncoder::~AudioEncoder() = default;

Result<std::int64_t> AudioEncoder::push(std::span<const float> samples, std::vector<float>& rows) {
  return s_->push(samples, rows);
}

Result<std::int64_t> AudioEncoder::finish(std::vector<float>& rows) {
  const std::size_t before = rows.size();
  s_->finish(nullptr, rows);
  return static_cast<std::int64_t>(rows.size() - before) / model_->config().text_width;
}

void AudioEncoder::reset() { s_->reset(); }

Result<std::vector<float>> AudioEncoder::encode_features(MatView features, const AudioTap* tap) {
  constexpr std::int64_t kMaxFrames = mel_frames(kBlockSamples);
  const std::int64_t width = s_->front_width();
  if (features.n_cols != width) {
    return invalid_argument("audio features: {} values a row, expected {}", features.n_cols, width);
  }
  if (!s_->config.unified && features.n_rows > kMaxFrames) {
    return invalid_argument("audio features: {} rows, expected at most {} (30 s)", features.n_rows,
                            kMaxFrames);
  }
  s_->reset();
  std::vector<float> rows;
  s_->push_front(features, tap, rows);
  s_->finish(tap, rows);
  return rows;
}

}  // namespace fourfold
