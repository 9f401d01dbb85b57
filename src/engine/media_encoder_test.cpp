#include "engine/media_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "engine/memory_gate.h"
#include "engine/soft_rows_cache.h"
#include "engine/test_media.h"
#include "formats/golden.h"
#include "formats/test_files.h"
#include "media/log_mel.h"
#include "media/made_film.h"
#include "media/resize.h"

namespace fourfold {
namespace {

using test_media::part;
using test_media::picture;
using testing::HasSubstr;

constexpr int kTextWidth = 64;

std::vector<SoftSpan> spans_of(const MediaLook& look) {
  std::vector<SoftSpan> spans;
  std::int64_t at = 0;
  for (const auto& block : look.source.blocks) {
    spans.push_back({at, block.rows});
    at += block.rows->n_rows + 2;
  }
  return spans;
}

// Bursts of noise with silence between.
std::vector<float> speech(std::initializer_list<std::pair<double, double>> loud_and_silent_s) {
  std::vector<float> samples;
  std::uint64_t seed = 1;
  for (const auto& [loud_s, silent_s] : loud_and_silent_s) {
    const auto burst =
        test_sound::noise(static_cast<std::size_t>(loud_s * kSampleRate), 0.3, seed++);
    samples.insert(samples.end(), burst.begin(), burst.end());
    samples.resize(samples.size() + static_cast<std::size_t>(silent_s * kSampleRate));
  }
  return samples;
}

class MediaEncoderTest : public testing::Test {
 protected:
  MediaEncoderTest() {
    options_.text_width = kTextWidth;
    options_.mmproj = folder_.file("mmproj.gguf");
    test_media::write_projector(options_.mmproj, kTextWidth);
  }

  // Beside a text body that says nothing of media.
  Result<std::unique_ptr<MediaEncoder>> open() {
    const auto path = golden_path("multimodal/audio/model_e2b/text.gguf");
    return MediaEncoder::open(std::make_shared<const Checkpoint>(*Checkpoint::open(path)),
                              options_);
  }
  MediaEncoder& media() {
    if (!media_) {
      auto opened = open();
      EXPECT_TRUE(opened.ok()) << opened.error().message;
      media_ = std::move(opened).value();
    }
    return *media_;
  }
  // The tiny body with both towers.
  void use_towers() {
    options_.text_width = 48;
    options_.mmproj = golden_path("multimodal/audio/model_e2b/mmproj.gguf");
  }

  MediaLook look_at(const Part& part, const LookOptions& options = {}) {
    auto look = media().look_at(part, options);
    EXPECT_TRUE(look.ok()) << look.error().message;
    return look.ok() ? std::move(look).value() : MediaLook();
  }
  Error refused(const Part& part) {
    const auto look = media().look_at(part, {});
    EXPECT_FALSE(look.ok());
    return look.ok() ? Error() : look.error();
  }
  Status encode(const MediaLook& look, const std::function<bool()>& go_on = {}) {
    return media().encode({&look.source, 1}, spans_of(look), go_on);
  }
  static void expect_filled(const MediaLook& look, int width) {
    for (const auto& block : look.source.blocks) {
      EXPECT_EQ(block.rows->width, width);
      EXPECT_EQ(block.rows->values.size(),
                static_cast<std::size_t>(block.rows->n_rows) * static_cast<std::size_t>(width));
    }
  }

  testing_files::TempFolder folder_;
  MediaEncoderOptions options_;
  std::unique_ptr<MediaEncoder> media_;
};

// --- what there is ---

TEST_F(MediaEncoderTest, SaysWhatTheModelCanTake) {
  EXPECT_TRUE(media().capabilities().vision);
  EXPECT_TRUE(media().capabilities().audio);
  EXPECT_EQ(media().capabilities().video, missing_video_library().empty());
  EXPECT_GT(media().weight_bytes(), 0u);
  EXPECT_THAT(media().notes().front(), HasSubstr("mmproj.gguf"));
}

TEST_F(MediaEncoderTest, SaysWhyAPartIsMissing) {
  options_.mmproj = "none";
  EXPECT_FALSE(media().capabilities().vision);
  EXPECT_THAT(media().capabilities().no_vision, HasSubstr("--mmproj none"));

  media_.reset();
  options_.mmproj = folder_.file("pictures.gguf");
  test_media::write_projector(options_.mmproj, kTextWidth, {.audio = false});
  EXPECT_TRUE(media().capabilities().vision);
  EXPECT_FALSE(media().capabilities().audio);
  EXPECT_THAT(media().capabilities().no_audio, HasSubstr("pictures.gguf has no sound encoder"));

  media_.reset();
  options_.mmproj = folder_.file("broken.gguf");
  test_media::write_projector(options_.mmproj, kTextWidth,
                              {.without_tensor = "v.patch_norm.2.weight"});
  EXPECT_FALSE(media().capabilities().vision);
  EXPECT_THAT(media().capabilities().no_vision, HasSubstr("v.patch_norm.2.weight"));
  EXPECT_FALSE(media().capabilities().video);
  EXPECT_TRUE(media().capabilities().audio);

  media_.reset();
  options_.mmproj = folder_.file("wide.gguf");
  test_media::write_projector(options_.mmproj, kTextWidth + 16);
  EXPECT_FALSE(media().capabilities().vision);
  EXPECT_THAT(media().capabilities().no_vision, HasSubstr("rows of 80, the model wants 64"));
}

TEST_F(MediaEncoderTest, RefusesANamedFileThatIsNoProjector) {
  options_.mmproj = folder_.file("nowhere.gguf");
  EXPECT_EQ(open().error().code, Code::NotFound);
  options_.mmproj = golden_path("multimodal/audio/model_e2b/text.gguf");
  EXPECT_THAT(open().error().message, HasSubstr("no projector file"));
}

// --- pictures ---

TEST_F(MediaEncoderTest, CountsAPictureAndThenFillsItsRows) {
  const auto look = look_at(part(Part::Kind::Image, picture(97, 50, 1)));
  const PictureSize size = *target_size({97, 50}, kImageBudget);
  EXPECT_EQ(look.seen.size, (PictureSize{97, 50}));
  EXPECT_EQ(look.seen.seen_size, size);
  EXPECT_EQ(look.seen.budget, 280);
  EXPECT_EQ(look.seen.tokens.image, soft_tokens(size) + 2);
  ASSERT_EQ(look.pieces.size(), 1u);
  EXPECT_EQ(look.pieces[0].rows->n_rows, soft_tokens(size));
  EXPECT_TRUE(look.pieces[0].rows->is_visual);
  EXPECT_EQ(media().stats().n_encoded, 0u);
  ASSERT_TRUE(encode(look).ok());
  expect_filled(look, kTextWidth);
  EXPECT_EQ(media().stats().n_encoded, 1u);
  EXPECT_GT(media().stats().image_seconds, 0.0);
}

TEST_F(MediaEncoderTest, TellsPicturesAndBudgetsApartAndEncodesNothingTwice) {
  const auto first = part(Part::Kind::Image, picture(64, 64, 1));
  const auto look = look_at(first);
  ASSERT_TRUE(encode(look).ok());
  // The same content in other bytes, and again.
  for (int i = 0; i < 2; ++i) {
    const auto again = look_at(part(Part::Kind::Image, picture(64, 64, 1)));
    EXPECT_EQ(again.pieces[0].rows->key, look.pieces[0].rows->key);
    EXPECT_EQ(again.pieces[0].rows->values, look.pieces[0].rows->values);
    ASSERT_TRUE(encode(again).ok());
  }
  EXPECT_EQ(media().stats().n_encoded, 1u);

  const auto other = look_at(part(Part::Kind::Image, picture(64, 64, 2)));
  EXPECT_EQ(other.pieces[0].rows->n_rows, look.pieces[0].rows->n_rows);
  EXPECT_NE(other.pieces[0].rows->key, look.pieces[0].rows->key);
  ASSERT_TRUE(encode(other).ok());
  EXPECT_NE(other.pieces[0].rows->values, look.pieces[0].rows->values);

  auto small = first;
  small.settings.budget = 70;
  const auto seen_small = look_at(small);
  EXPECT_EQ(seen_small.pieces[0].rows->n_rows, 64);
  EXPECT_NE(seen_small.pieces[0].rows->key, look.pieces[0].rows->key);
}

TEST_F(MediaEncoderTest, TellsProjectorsApart) {
  const auto one = look_at(part(Part::Kind::Image, picture(64, 64, 1)));
  media_.reset();
  options_.mmproj = folder_.file("other.gguf");
  test_media::write_projector(options_.mmproj, kTextWidth, {.seed = 2});
  EXPECT_NE(look_at(part(Part::Kind::Image, picture(64, 64, 1))).pieces[0].rows->key,
            one.pieces[0].rows->key);
}

TEST_F(MediaEncoderTest, KeysDependOnEveryWeight) {
  const auto picture_of_one = part(Part::Kind::Image, picture(64, 64, 1));
  const auto key = look_at(picture_of_one).pieces[0].rows->key;
  media_.reset();
  {
    // Far behind the beginning of the last tensor.
    std::fstream file(options_.mmproj, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1000, std::ios::end);
    file.put('\x7f');
  }
  EXPECT_NE(look_at(picture_of_one).pieces[0].rows->key, key);
}

TEST_F(MediaEncoderTest, EncodesOnlyWhatThePromptStillHas) {
  const auto look = look_at(part(Part::Kind::Image, picture(64, 64, 1)));
  ASSERT_TRUE(media().encode({&look.source, 1}, {}, {}).ok());
  EXPECT_TRUE(look.pieces[0].rows->values.empty());
  EXPECT_EQ(media().stats().n_encoded, 0u);
}

TEST_F(MediaEncoderTest, EncodesAgainWhatTheCacheHadNoPlaceFor) {
  options_.cache_bytes = 0;
  for (std::uint64_t i = 1; i <= 2; ++i) {
    const auto look = look_at(part(Part::Kind::Image, picture(64, 64, 1)));
    ASSERT_TRUE(encode(look).ok());
    expect_filled(look, kTextWidth);
    EXPECT_EQ(media().stats().n_encoded, i);
  }
}

TEST_F(MediaEncoderTest, NamesThePartThatIsWrong) {
  const std::string where = "messages[0].content[1]";
  auto good = part(Part::Kind::Image, picture(64, 64, 1), where);
  const auto expect_named = [&](const Part& wrong, std::string_view what) {
    const Error error = refused(wrong);
    EXPECT_THAT(error.message, testing::StartsWith(where + ": "));
    EXPECT_THAT(error.message, HasSubstr(what));
    ASSERT_TRUE(error.detail);
    EXPECT_EQ(error.detail->field, where);
  };
  expect_named(part(Part::Kind::Image, {}, where), "empty");
  expect_named(part(Part::Kind::Image, std::string("no picture"), where), "");
  expect_named(part(Part::Kind::Image, picture(64, 64, 1).substr(0, 5000), where), "");
  auto odd = good;
  odd.settings.budget = 100;
  expect_named(odd, "100");
  media_.reset();
  options_.memory_bytes = 1000;
  expect_named(good, "the limit is 1000 bytes");
}

TEST_F(MediaEncoderTest, StopsWhenItIsToldTo) {
  const auto look = look_at(part(Part::Kind::Image, picture(64, 64, 1)));
  const auto stopped = encode(look, [] { return false; });
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, Code::Cancelled);
  ASSERT_TRUE(encode(look).ok());
  expect_filled(look, kTextWidth);
}

TEST_F(MediaEncoderTest, StandsManyThreads) {
  media();
  std::vector<std::jthread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 4; ++i) {
        const auto look =
            media_->look_at(part(Part::Kind::Image, picture(64, 64, (t + i) % 3)), {});
        ASSERT_TRUE(look.ok());
        ASSERT_TRUE(media_->encode({&look->source, 1}, spans_of(*look), {}).ok());
        expect_filled(*look, kTextWidth);
      }
    });
  }
  threads.clear();
  EXPECT_LE(media().stats().n_encoded, 12u);
}

// --- sounds ---

TEST_F(MediaEncoderTest, SoundSeesAsManyKeysAsAskedFor) {
  use_towers();
  const auto rows_with = [&](int keys) {
    options_.audio_keys = keys;
    media_.reset();
    const auto look =
        look_at(part(Part::Kind::Audio, test_media::sound(test_sound::tone(440, 32'000))));
    EXPECT_TRUE(encode(look).ok());
    return look.source.blocks.front().rows->values;
  };
  const std::vector<float> usual = rows_with(0);
  EXPECT_EQ(rows_with(12), usual);
  const std::vector<float> more = rows_with(13);
  ASSERT_EQ(more.size(), usual.size());
  // The first 12 frames have no thirteenth behind them.
  const auto first = std::mismatch(more.begin(), more.end(), usual.begin()).first - more.begin();
  EXPECT_EQ(first / options_.text_width, 12);
}

TEST_F(MediaEncoderTest, HearsASoundAndAStretchOfIt) {
  use_towers();
  auto sound = part(Part::Kind::Audio, test_media::sound(test_sound::tone(440, 32'000)));
  const auto look = look_at(sound);
  ASSERT_EQ(look.source.blocks.size(), 1u);
  EXPECT_EQ(look.source.blocks[0].rows->n_rows, 50);
  EXPECT_EQ(look.seen.tokens.audio, 52);
  EXPECT_DOUBLE_EQ(look.seen.duration_s, 2.0);
  EXPECT_DOUBLE_EQ(look.seen.sound_s, 2.0);
  ASSERT_TRUE(encode(look).ok());
  expect_filled(look, 48);

  sound.settings.from_s = 0.5;
  sound.settings.to_s = 1.5;
  const auto stretch = look_at(sound);
  EXPECT_EQ(stretch.source.blocks[0].rows->n_rows, 25);
  EXPECT_DOUBLE_EQ(stretch.seen.from_s, 0.5);
  EXPECT_DOUBLE_EQ(stretch.seen.to_s, 1.5);
  ASSERT_TRUE(encode(stretch).ok());
  // The same samples as a file of their own.
  auto samples = test_sound::tone(440, 32'000);
  samples = {samples.begin() + 8000, samples.begin() + 24'000};
  const auto alone = look_at(part(Part::Kind::Audio, test_media::sound(samples)));
  ASSERT_TRUE(encode(alone).ok());
  EXPECT_EQ(alone.source.blocks[0].rows->values, stretch.source.blocks[0].rows->values);

  sound.settings.from_s = 5.0;
  sound.settings.to_s = 6.0;
  EXPECT_THAT(refused(sound).message, HasSubstr("lasts 2.00 s"));
  sound.settings.to_s = 1.0;
  EXPECT_EQ(refused(sound).code, Code::InvalidArgument);
}

TEST_F(MediaEncoderTest, RefusesSoundThatGivesNoToken) {
  use_towers();
  const auto error =
      refused(part(Part::Kind::Audio, test_media::sound(test_sound::tone(440, 160))));
  EXPECT_EQ(error.code, Code::InvalidArgument);
  EXPECT_THAT(error.message, HasSubstr("161"));
}

TEST_F(MediaEncoderTest, CutsLongSoundIntoBlocksAndLeavesSilenceOut) {
  use_towers();
  // Cuts in the silences at 25 and 50 s; the third window is silent.
  const auto samples = speech({{24.5, 1.0}, {24.0, 31.0}, {5.0, 0.0}});
  const auto look = look_at(part(Part::Kind::Audio, test_media::sound(samples)));
  ASSERT_GE(look.source.blocks.size(), 3u);
  std::int64_t n_tokens = 0, last = 0;
  for (const auto& block : look.source.blocks) {
    EXPECT_GE(block.first_sample, last);
    EXPECT_LE(block.last_sample - block.first_sample, kBlockSamples);
    EXPECT_EQ(block.rows->n_rows,
              audio_soft_tokens(mel_frames(block.last_sample - block.first_sample)));
    last = block.last_sample;
    n_tokens += block.rows->n_rows + 2;
  }
  EXPECT_EQ(look.seen.tokens.audio, n_tokens);
  EXPECT_LT(look.seen.sound_s, look.seen.duration_s - 15.0);
  ASSERT_FALSE(look.seen.notes.empty());
  EXPECT_THAT(look.seen.notes.back(), HasSubstr("silent"));
  ASSERT_TRUE(encode(look).ok());
  expect_filled(look, 48);
  // Each block is what its samples give alone.
  const auto& block = look.source.blocks[1];
  const std::vector<float> own(samples.begin() + block.first_sample,
                               samples.begin() + block.last_sample);
  const auto alone = look_at(part(Part::Kind::Audio, test_media::sound(own)));
  ASSERT_TRUE(encode(alone).ok());
  EXPECT_EQ(alone.source.blocks[0].rows->values, block.rows->values);
}

TEST_F(MediaEncoderTest, HearsLongSoundInOneBlockWithoutATower) {
  const auto look =
      look_at(part(Part::Kind::Audio, test_media::sound(test_sound::noise(560'100, 0.3))));
  ASSERT_EQ(look.source.blocks.size(), 1u);
  EXPECT_EQ(look.source.blocks[0].rows->n_rows, (560'100 + 639) / 640);
  ASSERT_TRUE(encode(look).ok());
  expect_filled(look, kTextWidth);
}

// Its samples are not held as a whole: pieces go to the encoder as they are read.
TEST_F(MediaEncoderTest, ALongBlockOfFramesHasTheRowsOfItsStretches) {
  constexpr std::int64_t kSeconds = 131;
  auto whole = part(Part::Kind::Audio,
                    test_media::sound(test_sound::noise(kSeconds * kSampleRate + 300, 0.3, 1)));
  const auto look = look_at(whole);
  ASSERT_EQ(look.source.blocks.size(), 1u);
  ASSERT_TRUE(encode(look).ok());
  expect_filled(look, kTextWidth);
  const auto& rows = *look.source.blocks[0].rows;
  EXPECT_EQ(rows.n_rows, kSeconds * 25 + 1);
  for (const int from_s : {0, 63, 129}) {
    whole.settings.from_s = from_s;
    whole.settings.to_s = from_s + 2.0;
    const auto stretch = look_at(whole);
    ASSERT_TRUE(encode(stretch).ok());
    const auto& some = *stretch.source.blocks[0].rows;
    ASSERT_EQ(some.n_rows, 50);
    EXPECT_TRUE(std::ranges::equal(
        some.values,
        std::span(rows.values).subspan(std::size_t{25} * from_s * kTextWidth, some.values.size())))
        << from_s;
  }
}

// --- films ---

class FilmEncoderTest : public MediaEncoderTest {
 protected:
  void SetUp() override {
    if (!missing_video_library().empty()) GTEST_SKIP() << missing_video_library();
  }
  static Part film(const FilmRecipe& recipe) {
    // Every frame has a brightness of its own.
    const auto bytes = make_film(recipe, [&](std::int64_t index) {
      const auto level = static_cast<std::uint8_t>(index * 7 % 256);
      return Picture{recipe.width, recipe.height,
                     std::vector<std::uint8_t>(
                         static_cast<std::size_t>(3 * recipe.width * recipe.height), level)};
    });
    EXPECT_TRUE(bytes);
    return part(Part::Kind::Video, test_media::text_of(bytes.value_or(std::vector<std::byte>())),
                "film");
  }
  static std::string text_of(const MediaLook& look) {
    std::string text;
    for (const auto& piece : look.pieces) {
      switch (piece.kind) {
        case MediaPiece::Kind::Text: text += piece.text; break;
        case MediaPiece::Kind::Audio: text += "<audio>"; break;
        default: text += "<frame>"; break;
      }
    }
    return text;
  }
};

TEST_F(FilmEncoderTest, SeesFramesWithTheirStamps) {
  auto clip = film({.fps = 25, .n_frames = 100});
  clip.settings.n_frames = 4;
  const auto look = look_at(clip, {.context = 8192});
  EXPECT_EQ(text_of(look), "00:00 <frame> 00:01 <frame> 00:02 <frame> 00:03 <frame>");
  EXPECT_EQ(look.seen.frames, 4);
  EXPECT_EQ(look.seen.rule, FrameRule::Uniform);
  EXPECT_EQ(look.seen.budget, 70);
  EXPECT_EQ(look.seen.segments.size(), 4u);
  const auto n = soft_tokens(*target_size({64, 48}, 70));
  EXPECT_EQ(look.seen.tokens.video, 4 * (n + 2));
  ASSERT_TRUE(encode(look).ok());
  expect_filled(look, kTextWidth);
  EXPECT_EQ(media().stats().n_encoded, 4u);
  // Two of these frames are known already.
  clip.settings.n_frames = 2;
  const auto fewer = look_at(clip, {.context = 8192});
  ASSERT_TRUE(encode(fewer).ok());
  EXPECT_EQ(media().stats().n_encoded, 4u);
}

TEST_F(FilmEncoderTest, HearsTheFilmWhereThatIsAsked) {
  auto clip = film({.fps = 10, .n_frames = 20, .sound_encoder = "aac", .sound_s = 2.0});
  clip.settings.n_frames = 2;
  EXPECT_EQ(text_of(look_at(clip)), "00:00 <frame> 00:01 <frame>");
  clip.settings.sound = true;
  const auto look = look_at(clip);
  EXPECT_EQ(text_of(look), "00:00 <frame> 00:01 <frame><audio>");
  EXPECT_GT(look.seen.sound_s, 1.8);
  ASSERT_TRUE(encode(look).ok());
  expect_filled(look, kTextWidth);

  media_.reset();
  test_media::write_projector(options_.mmproj, kTextWidth, {.audio = false});
  const auto deaf = look_at(clip);
  EXPECT_EQ(text_of(deaf), "00:00 <frame> 00:01 <frame>");
  ASSERT_EQ(deaf.seen.notes.size(), 1u);
  EXPECT_THAT(deaf.seen.notes[0], HasSubstr("does not hear"));
}

TEST_F(FilmEncoderTest, PutsSoundBesideItsFramesInALongFilm) {
  use_towers();
  const auto clip =
      film({.fps = 2, .n_frames = 140, .key_every = 2, .sound_encoder = "aac", .sound_s = 70.0});
  const auto look = look_at(clip, {.context = 4096});
  EXPECT_EQ(look.seen.rule, FrameRule::Shots);
  EXPECT_GT(look.seen.sound_s, 60.0);
  const auto text = text_of(look);
  EXPECT_THAT(text, HasSubstr("<frame> 00:00 <audio> 00:"));
  EXPECT_TRUE(text.ends_with(" <audio>")) << text;
  EXPECT_GE(look.seen.segments.size(), 3u);
  EXPECT_EQ(look.seen.segments.back().last_piece, look.pieces.size());
  ASSERT_TRUE(encode(look).ok());
  expect_filled(look, 48);
}

TEST_F(FilmEncoderTest, TakesAFilmOfSoundAloneForASound) {
  const auto clip = film({.encoder = "", .sound_encoder = "aac", .sound_s = 1.0});
  const auto look = look_at(clip);
  EXPECT_EQ(text_of(look), "<audio>");
  EXPECT_EQ(look.seen.kind, Part::Kind::Audio);
  ASSERT_TRUE(encode(look).ok());
  media_.reset();
  test_media::write_projector(options_.mmproj, kTextWidth, {.audio = false});
  EXPECT_EQ(refused(clip).code, Code::FailedPrecondition);
}

TEST_F(FilmEncoderTest, NamesTheFilmThatIsNone) {
  const auto error = refused(part(Part::Kind::Video, std::string("no film at all"), "parts[3]"));
  EXPECT_THAT(error.message, testing::StartsWith("parts[3]: "));
  auto both = film({.n_frames = 10});
  both.settings.fps = 1.0;
  both.settings.n_frames = 3;
  EXPECT_EQ(refused(both).code, Code::InvalidArgument);
}

// --- its parts ---

TEST(SoftRowsCaches, KeepWhatWasUsedLast) {
  SoftRowsCache cache(3 * 40);
  const auto rows_of = [](std::uint8_t content, std::size_t n = 10) {
    auto rows = std::make_shared<SoftRows>();
    rows->key[0] = content;
    rows->values.resize(n);
    return rows;
  };
  for (std::uint8_t i = 1; i <= 3; ++i) cache.add(rows_of(i));
  EXPECT_EQ(cache.size_bytes(), 120u);
  EXPECT_TRUE(cache.find(rows_of(1)->key));
  cache.add(rows_of(4));
  EXPECT_FALSE(cache.find(rows_of(2)->key));
  EXPECT_TRUE(cache.find(rows_of(1)->key));
  cache.add(rows_of(9, 1000));  // larger than all
  EXPECT_EQ(cache.size_bytes(), 120u);
  EXPECT_FALSE(cache.find(rows_of(9)->key));
}

TEST(MemoryGates, LetInWhatFitsAndMakeTheRestWait) {
  MemoryGate gate(100);
  EXPECT_EQ(gate.enter(101, {}).error().code, Code::ResourceExhausted);
  auto first = gate.enter(60, {});
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(gate.enter(60, [] { return false; }).error().code, Code::Cancelled);
  std::atomic<bool> is_in = false;
  std::jthread second([&] {
    const auto pass = gate.enter(60, {});
    is_in = pass.ok();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(is_in);
  first = MemoryGate::Pass();
  second.join();
  EXPECT_TRUE(is_in);
}

}  // namespace
}  // namespace fourfold
