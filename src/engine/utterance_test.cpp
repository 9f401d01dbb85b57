// What is encoded while someone speaks against the same sound encoded at once, bit for bit.
#include "engine/utterance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "engine/media_encoder.h"
#include "engine/test_media.h"
#include "formats/golden.h"
#include "formats/test_files.h"
#include "media/sound.h"
#include "media/test_sound.h"

namespace fourfold {
namespace {

using Rows = std::vector<std::vector<float>>;  // of blocks

class UtteranceTest : public testing::Test {
 protected:
  // The tiny tower of the goldens, or frames without a tower.
  void open(bool unified) {
    const auto path = golden_path("multimodal/audio/model_e2b/text.gguf");
    auto checkpoint = Checkpoint::open(path);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    MediaEncoderOptions options{.text_width = 48};  // of the golden
    options.mmproj = golden_path("multimodal/audio/model_e2b/mmproj.gguf");
    if (unified) {
      options.mmproj = folder_.file("projector.gguf");
      test_media::write_projector(options.mmproj, options.text_width, {.vision = false});
    }
    auto media =
        MediaEncoder::open(std::make_shared<const Checkpoint>(std::move(*checkpoint)), options);
    ASSERT_TRUE(media.ok()) << media.error().message;
    media_ = std::move(*media);
    auto sound = media_->open_live_sound();
    ASSERT_TRUE(sound.ok()) << sound.error().message;
    sound_ = std::move(*sound);
  }

  Rows at_once(const std::vector<float>& samples) {
    const auto part = test_media::part(Part::Kind::Audio, wav_file(samples), "sound");
    auto look = media_->look_at(part, {.context = 8192});
    EXPECT_TRUE(look.ok()) << look.error().message;
    std::vector<SoftSpan> soft;
    for (const auto& block : look->source.blocks) soft.push_back({0, block.rows});
    const auto status = media_->encode({&look->source, 1}, soft, {});
    EXPECT_TRUE(status.ok()) << status.error().message;
    Rows rows;
    for (const SoftSpan& span : soft) rows.push_back(span.rows->values);
    return rows;
  }

  static Rows rows_of(const Message& turn) {
    Rows rows;
    for (const auto& piece : turn.parts.at(0).pieces) rows.push_back(piece.rows->values);
    return rows;
  }

  static void say(Utterance& utterance, const std::vector<float>& samples, std::size_t piece) {
    for (std::size_t at = 0; at < samples.size(); at += piece) {
      const auto n = std::min(piece, samples.size() - at);
      ASSERT_TRUE(utterance.push(std::span(samples).subspan(at, n)).ok());
    }
  }

  testing_files::TempFolder folder_;
  std::unique_ptr<MediaEncoder> media_;
  std::unique_ptr<LiveSound> sound_;
};

std::vector<float> noise(double seconds, std::uint64_t seed = 1) {
  return test_sound::noise(static_cast<std::size_t>(seconds * kSampleRate), 0.2, seed);
}

// Noise with gaps of silence, each at a second of its own.
std::vector<float> speech(double seconds, const std::vector<double>& gaps) {
  auto samples = noise(seconds);
  for (const double gap : gaps) {
    const auto first = samples.begin() + static_cast<std::ptrdiff_t>(gap * kSampleRate);
    std::fill(first, first + kSampleRate / 2, 0.0f);
  }
  return samples;
}

TEST_F(UtteranceTest, HasTheRowsOfTheWholeSoundForAnyPieces) {
  for (const bool unified : {false, true}) {
    open(unified);
    const auto samples = noise(2.345);
    const Rows whole = at_once(samples);
    ASSERT_EQ(whole.size(), 1u);
    Utterance utterance(*sound_);
    for (const std::size_t piece : {std::size_t{161}, std::size_t{640}, samples.size()}) {
      utterance.begin();
      say(utterance, samples, piece);
      ASSERT_TRUE(utterance.finish().ok());
      EXPECT_TRUE(rows_of(utterance.turn()) == whole) << unified << " " << piece;
    }
  }
}

TEST_F(UtteranceTest, RowsSoFarAreThoseThatStay) {
  open(false);
  const auto samples = noise(2.0);
  const Rows whole = at_once(samples);
  Utterance utterance(*sound_);
  utterance.begin();
  std::int64_t n_before = 0;
  const SoftRows* block = nullptr;
  for (std::size_t at = 0; at < samples.size(); at += 3'200) {
    ASSERT_TRUE(utterance.push(std::span(samples).subspan(at, 3'200)).ok());
    const auto turn = utterance.turn();
    block = turn.parts.at(0).pieces.at(0).rows.get();
    EXPECT_TRUE(block->grows);
    EXPECT_GT(block->n_rows, n_before);
    EXPECT_EQ(block->n_rows, utterance.n_rows());
    n_before = block->n_rows;
    ASSERT_LE(block->values.size(), whole[0].size());
    EXPECT_TRUE(std::equal(block->values.begin(), block->values.end(), whole[0].begin()));
  }
  // All but the last one were there before the end.
  EXPECT_EQ(n_before + 1, static_cast<std::int64_t>(whole[0].size()) / sound_->width());
}

TEST_F(UtteranceTest, LongSpeechIsCutAsARecordingIs) {
  open(false);
  // With silences, without, and one that ends right behind the limit of a block.
  for (const auto& samples : {speech(65.0, {24.0, 45.0}), speech(33.0, {}), noise(30.005)}) {
    const Rows whole = at_once(samples);
    ASSERT_GT(whole.size(), 1u);
    Utterance utterance(*sound_);
    utterance.begin();
    say(utterance, samples, 5'120);
    ASSERT_TRUE(utterance.finish().ok());
    EXPECT_TRUE(rows_of(utterance.turn()) == whole) << samples.size();
  }
}

// The end of a block changes its last rows: their K/V must not be taken for those of the longer
// one.
TEST_F(UtteranceTest, ABlockThatIsCutHasAnotherName) {
  open(false);
  const auto samples = speech(31.0, {24.0});
  Utterance utterance(*sound_);
  utterance.begin();
  say(utterance, std::vector(samples.begin(), samples.begin() + kBlockSamples), 16'000);
  const auto before = utterance.turn().parts.at(0).pieces;
  ASSERT_EQ(before.size(), 1u);
  say(utterance, std::vector(samples.begin() + kBlockSamples, samples.end()), 16'000);
  const auto after = utterance.turn().parts.at(0).pieces;
  ASSERT_EQ(after.size(), 2u);
  EXPECT_LT(after[0].rows->n_rows, before[0].rows->n_rows);
  EXPECT_NE(after[0].rows->key, before[0].rows->key);
  EXPECT_NE(after[0].rows->key, after[1].rows->key);
}

TEST_F(UtteranceTest, SoundsOfOneSizeHaveDifferentNames) {
  open(true);
  Utterance utterance(*sound_);
  const auto name = [&] {
    utterance.begin();
    EXPECT_TRUE(utterance.push(noise(0.5)).ok());
    EXPECT_TRUE(utterance.finish().ok());
    return utterance.turn().parts.at(0).pieces.at(0).rows->key;
  };
  const MediaKey first = name();
  EXPECT_NE(first, name());
}

TEST_F(UtteranceTest, AnUtteranceThatIsDroppedLeavesNothing) {
  open(false);
  const auto samples = noise(1.0, 7);
  Utterance utterance(*sound_);
  utterance.begin();
  say(utterance, noise(0.7), 512);
  utterance.begin();
  EXPECT_EQ(utterance.n_rows(), 0);
  say(utterance, samples, 512);
  ASSERT_TRUE(utterance.finish().ok());
  EXPECT_TRUE(rows_of(utterance.turn()) == at_once(samples));
}

TEST(LiveSound, IsRefusedByAModelThatCannotHear) {
  auto checkpoint = Checkpoint::open(golden_path("multimodal/audio/model_e2b/text.gguf"));
  ASSERT_TRUE(checkpoint.ok());
  const auto media = MediaEncoder::open(std::make_shared<const Checkpoint>(std::move(*checkpoint)),
                                        {.text_width = 48, .mmproj = "none"});
  ASSERT_TRUE(media.ok());
  const auto sound = (*media)->open_live_sound();
  ASSERT_FALSE(sound.ok());
  EXPECT_EQ(sound.error().code, Code::Unimplemented);
  EXPECT_EQ(sound.error().message, "this model takes no audio: switched off (--mmproj none)");
}

}  // namespace
}  // namespace fourfold
