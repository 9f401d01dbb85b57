// Is speech found in noise, and nothing else? Spoken by a synthesiser, mixed with white and pink
// noise and with the babble of others (tests/speech_in_noise_test.py makes the recordings).
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "base/mapped_file.h"
#include "media/sound.h"
#include "media/speech_detector.h"
#include "media/test_sound.h"
#include "model/audio/silero_vad.h"

namespace fourfold {
namespace {

using Samples = std::vector<float>;

constexpr double kBorder_s = 0.25;  // as far as a border may be off (audio.md 7.2)

enum class Noise { White, Pink, Babble };

const char* name(Noise noise) {
  return noise == Noise::White ? "white" : noise == Noise::Pink ? "pink" : "babble";
}

struct Stretch {
  std::int64_t begin = 0, end = 0;
};

std::string environment_path(const char* variable) {
  const char* value = std::getenv(variable);
  return value ? value : "";
}

// speech_0.wav … or babble_0.wav …, without the silence around them, equally loud.
Samples read_recording(const std::string& path) {
  const auto file = MappedFile::open(path);
  EXPECT_TRUE(file.ok()) << path;
  if (!file.ok()) return {};
  auto samples = decode_sound((*file)->bytes(), {}, kBlockSamples).value();
  float peak = 0.0f;
  for (const float sample : samples) peak = std::max(peak, std::abs(sample));
  const auto is_loud = [&](float sample) { return std::abs(sample) > 0.02f * peak; };
  const auto first = std::find_if(samples.begin(), samples.end(), is_loud);
  const auto last = std::find_if(samples.rbegin(), samples.rend(), is_loud).base();
  return {first, last};
}

double power(const Samples& samples) {
  double sum = 0.0;
  for (const float sample : samples) sum += static_cast<double>(sample) * sample;
  return sum / static_cast<double>(samples.size());
}

Samples scaled(Samples samples, double factor) {
  for (float& sample : samples) sample = static_cast<float>(factor * sample);
  return samples;
}

// White noise through three poles, whose sum falls by about 3 dB an octave.
Samples pink_noise(std::size_t n) {
  const auto white = test_sound::noise(n, 0.5, 11);
  constexpr std::array<std::pair<double, double>, 3> kPoles = {
      {{0.99765, 0.0990460}, {0.96300, 0.2965164}, {0.57000, 1.0526913}}};
  std::array<double, 3> state = {};
  Samples pink(n);
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0.1848 * white[i];
    for (std::size_t k = 0; k < kPoles.size(); ++k) {
      state[k] = kPoles[k].first * state[k] + kPoles[k].second * white[i];
      sum += state[k];
    }
    pink[i] = static_cast<float>(sum);
  }
  return pink;
}

// A talk in a room: what is said, where, and the noise around it.
class Talk {
 public:
  explicit Talk(const std::string& folder) {
    constexpr int kUtterances = 6;
    samples_.assign(3 * kSampleRate, 0.0f);
    double spoken_power = 0.0;
    for (int i = 0; i < kUtterances; ++i) {
      auto spoken = read_recording(fmt::format("{}/speech_{}.wav", folder, i));
      if (spoken.empty()) return;
      spoken = scaled(std::move(spoken), 0.1 / std::sqrt(power(spoken)));
      spoken_power = power(spoken);
      const auto begin = static_cast<std::int64_t>(samples_.size());
      samples_.insert(samples_.end(), spoken.begin(), spoken.end());
      truth_.push_back({begin, static_cast<std::int64_t>(samples_.size())});
      samples_.insert(samples_.end(), (5 + i % 3) * kSampleRate / 2, 0.0f);
    }
    power_ = spoken_power;
    for (int i = 0; i < 6; ++i) {
      babblers_.push_back(read_recording(fmt::format("{}/babble_{}.wav", folder, i)));
    }
  }

  const std::vector<Stretch>& truth() const { return truth_; }

  Samples with(Noise noise, double snr_db) const {
    const auto around = make(noise);
    const double factor = std::sqrt(power_ / power(around) * std::pow(10.0, -snr_db / 10.0));
    Samples mixed(samples_.size());
    for (std::size_t i = 0; i < mixed.size(); ++i) {
      mixed[i] = samples_[i] + static_cast<float>(factor * around[i]);
    }
    return mixed;
  }

 private:
  Samples make(Noise noise) const {
    if (noise == Noise::White) return test_sound::noise(samples_.size(), 0.5, 5);
    return noise == Noise::Pink ? pink_noise(samples_.size()) : babble();
  }
  // All of them at once, again and again.
  Samples babble() const {
    Samples sum(samples_.size(), 0.0f);
    for (std::size_t b = 0; b < babblers_.size(); ++b) {
      const auto& voice = babblers_[b];
      const double factor = 0.1 / std::sqrt(power(voice));
      for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] += static_cast<float>(factor * voice[(i + b * 7'919) % voice.size()]);
      }
    }
    return sum;
  }

  Samples samples_;
  double power_ = 0.0;
  std::vector<Stretch> truth_;
  std::vector<Samples> babblers_;
};

std::vector<Stretch> find_speech(VoiceActivity& activity, const Samples& samples) {
  SpeechDetector detector(activity);
  detector.push(samples);
  detector.finish();
  std::vector<Stretch> found;
  std::int64_t begin = 0;
  while (const auto event = detector.next()) {
    if (event->kind == SpeechEvent::Kind::Started) begin = event->at;
    if (event->kind == SpeechEvent::Kind::Ended) found.push_back({begin, event->at});
  }
  return found;
}

struct Score {
  double recall = 0.0;  // of the samples of speech, the part that was found
  int n_whole = 0;      // utterances found as one, both borders within 250 ms
  int n_false = 0;      // stretches without speech
  double largest_border_s = 0.0;
};

bool meet(const Stretch& a, const Stretch& b) { return a.begin < b.end && b.begin < a.end; }

Score score_of(const std::vector<Stretch>& truth, const std::vector<Stretch>& found) {
  constexpr std::int64_t kBefore = 4'800;  // an utterance begins 300 ms before the voice
  Score score;
  std::int64_t n_spoken = 0, n_found = 0;
  for (const Stretch& spoken : truth) {
    n_spoken += spoken.end - spoken.begin;
    int n = 0;
    double off_s = 0.0;
    for (const Stretch& stretch : found) {
      if (!meet(stretch, spoken)) continue;
      ++n;
      n_found += std::min(stretch.end, spoken.end) - std::max(stretch.begin, spoken.begin);
      const auto off = std::max(std::abs(stretch.begin + kBefore - spoken.begin),
                                std::abs(stretch.end - spoken.end));
      off_s = static_cast<double>(off) / kSampleRate;
    }
    if (n == 1) score.largest_border_s = std::max(score.largest_border_s, off_s);
    score.n_whole += n == 1 && off_s <= kBorder_s;
  }
  for (const Stretch& stretch : found) {
    score.n_false +=
        std::ranges::none_of(truth, [&](const Stretch& spoken) { return meet(stretch, spoken); });
  }
  score.recall = static_cast<double>(n_found) / static_cast<double>(n_spoken);
  return score;
}

class SileroActivity final : public VoiceActivity {
 public:
  explicit SileroActivity(SileroVad& vad) : vad_(vad) {}
  float probability(std::span<const float> frame) override {
    return vad_.next(frame.first<kVadFrame>());
  }

 private:
  SileroVad& vad_;
};

// What must be reached.
struct Floor {
  Noise noise;
  double snr_db;
  double recall;
  int n_whole, n_false;
};

class SpeechInNoise : public testing::Test {
 protected:
  void SetUp() override {
    const auto folder = environment_path("FOURFOLD_TEST_SPEECH");
    ASSERT_FALSE(folder.empty()) << "FOURFOLD_TEST_SPEECH names the recordings";
    talk_.emplace(folder);
    ASSERT_EQ(talk_->truth().size(), 6u);
  }

  template <class MakeActivity>
  void expect(std::span<const Floor> floors, const MakeActivity& make_activity) {
    for (const Floor& floor : floors) {
      auto activity = make_activity();
      const auto found = find_speech(activity, talk_->with(floor.noise, floor.snr_db));
      const Score score = score_of(talk_->truth(), found);
      const auto what = fmt::format(
          "{} noise, {:.0f} dB: recall {:.3f}, {} of 6 whole, {} false, borders within {:.2f} s",
          name(floor.noise), floor.snr_db, score.recall, score.n_whole, score.n_false,
          score.largest_border_s);
      std::printf("%s\n", what.c_str());
      EXPECT_GE(score.recall, floor.recall) << what;
      EXPECT_GE(score.n_whole, floor.n_whole) << what;
      EXPECT_LE(score.n_false, floor.n_false) << what;
    }
  }

  std::optional<Talk> talk_;
};

TEST_F(SpeechInNoise, IsFoundByTheNetwork) {
  const auto path = environment_path("FOURFOLD_TEST_SILERO");
  ASSERT_FALSE(path.empty()) << "FOURFOLD_TEST_SILERO names the weights";
  const auto vad = SileroVad::load(path);
  ASSERT_TRUE(vad.ok()) << vad.error().message;
  // Those who babble speak, too: all of it is speech to a network that knows no direction.
  constexpr Floor kFloors[] = {
      {Noise::White, 20, 0.98, 6, 0},  {Noise::White, 10, 0.98, 6, 0},
      {Noise::White, 0, 0.98, 5, 0},   {Noise::Pink, 20, 0.98, 6, 0},
      {Noise::Pink, 10, 0.98, 6, 0},   {Noise::Pink, 0, 0.98, 4, 0},
      {Noise::Babble, 20, 0.98, 0, 0}, {Noise::Babble, 10, 0.98, 0, 0},
      {Noise::Babble, 0, 0.98, 0, 0},
  };
  expect(kFloors, [&] {
    (*vad)->reset();
    return SileroActivity(**vad);
  });
}

TEST_F(SpeechInNoise, IsFoundByItsLevelWhereItIsLouder) {
  // Speech that is no louder than the noise is not found.
  constexpr Floor kFloors[] = {
      {Noise::White, 20, 0.95, 6, 0},  {Noise::White, 10, 0.95, 5, 0},
      {Noise::White, 0, 0.0, 0, 0},    {Noise::Pink, 20, 0.95, 6, 0},
      {Noise::Pink, 10, 0.95, 5, 0},   {Noise::Pink, 0, 0.2, 0, 0},
      {Noise::Babble, 20, 0.95, 1, 0}, {Noise::Babble, 10, 0.95, 1, 0},
      {Noise::Babble, 0, 0.9, 0, 0},
  };
  expect(kFloors, [] { return LevelActivity(); });
}

}  // namespace
}  // namespace fourfold
