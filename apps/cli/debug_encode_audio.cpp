#include "cli/debug_encode_audio.h"

#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "formats/media_config.h"
#include "media/log_mel.h"
#include "media/sound.h"
#include "model/audio/audio_model.h"
#include "model/audio/audio_weights.h"

namespace fourfold {
namespace {

Result<std::vector<float>> read_mel(const std::string& path, std::int64_t width) {
  const auto arrays = TRY(Arrays::open(path));
  for (const char* name : {"mel", "features", "frames"}) {
    if (!arrays.has(name)) continue;
    const auto shape = arrays.shape(name);
    if (shape.size() != 2 || shape[1] != width) {
      return invalid_argument("{}: {} is not [n, {}]", path, name, width);
    }
    return arrays.floats(name);
  }
  return not_found("{}: no array mel, features or frames", path);
}

// Mel rows of a sound file; its frames, the last one filled up with zeros, for the unified form.
Result<std::vector<float>> read_sound(const std::string& path, bool unified, Context& context) {
  const auto file = TRY(MappedFile::open(path));
  constexpr auto kLongest = static_cast<std::int64_t>(SoundLimits{}.seconds * kSampleRate);
  auto samples = TRY_IN(path, decode_sound(file->bytes(), {}, kLongest));
  const auto n = static_cast<std::int64_t>(samples.size());
  const std::int64_t least = unified ? 1 : kLeastSamples;
  if (n < least) {
    return invalid_argument("{}: {} samples at 16 kHz, expected at least {}", path, n, least);
  }
  if (!unified && n > kBlockSamples) {
    samples.resize(std::size_t{kBlockSamples});
    context.note(fmt::format("{}: longer than 30 s, only the first block is encoded", path));
  }
  if (!unified) return log_mel(samples);
  samples.resize((samples.size() + kUnifiedFrame - 1) / kUnifiedFrame * kUnifiedFrame, 0.0f);
  return samples;
}

// Rows [time, frequency · channels] as the goldens have them: [channels, time, frequency].
class ChannelRows {
 public:
  explicit ChannelRows(int n_channels) : n_channels_(n_channels) {}

  void add(const MatView& value) {
    for (std::int64_t r = 0; r < value.n_rows; ++r) {
      rows_.insert(rows_.end(), value.row(r), value.row(r) + value.n_cols);
    }
    n_columns_ = value.n_cols / n_channels_;
  }

  void write(const std::string& name, ArrayWriter& arrays) const {
    const auto n = static_cast<std::int64_t>(rows_.size());
    if (n == 0) return;
    const std::int64_t n_times = n / (n_columns_ * n_channels_);
    std::vector<float> values(rows_.size());
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t c = i % n_channels_, f = i / n_channels_ % n_columns_;
      const std::int64_t t = i / n_channels_ / n_columns_;
      values[static_cast<std::size_t>((c * n_times + t) * n_columns_ + f)] =
          rows_[static_cast<std::size_t>(i)];
    }
    arrays.add(name, {n_channels_, n_times, n_columns_}, std::move(values));
  }

 private:
  std::int64_t n_channels_;
  std::int64_t n_columns_ = 1;
  std::vector<float> rows_;
};

}  // namespace

Status encode_sound(std::shared_ptr<const Checkpoint> checkpoint, const SoundToEncode& source,
                    Ops& ops, ArrayWriter& arrays, Context& context) {
  const auto config = TRY(load_audio_config(*checkpoint));
  if (!config) return failed_precondition("{}: no audio encoder", checkpoint->path());
  const auto model = TRY(AudioModel::load(std::move(checkpoint), *config, ops));
  const std::int64_t width = config->unified ? kUnifiedFrame : kMelBins;
  std::vector<float> features;
  if (source.mel.empty()) {
    features = TRY(read_sound(source.audio, config->unified, context));
  } else {
    features = TRY(read_mel(source.mel, width));
  }

  ChannelRows conv0(kConv0Channels), conv1(kConv1Channels);
  const AudioTap tap = [&](std::string_view name, int layer, const MatView& value) {
    if (name == "conv0") {
      conv0.add(value);
    } else if (name == "conv1") {
      conv1.add(value);
    } else {
      arrays.add_tap(name, layer, value);
    }
  };
  AudioEncoder encoder(model, ops);
  const MatView rows{features.data(), static_cast<std::int64_t>(features.size()) / width, width,
                     width};
  auto soft = TRY(encoder.encode_features(rows, source.taps ? &tap : nullptr));
  const auto n_soft = static_cast<std::int64_t>(soft.size()) / config->text_width;
  arrays.add("soft", {n_soft, config->text_width}, std::move(soft));
  conv0.write("tap.conv0", arrays);
  conv1.write("tap.conv1", arrays);
  return {};
}

}  // namespace fourfold
