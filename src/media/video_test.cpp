// Films through libav: the goldens of the reference's decoder, and films that the same library
// made.
#include "media/video.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "base/json.h"
#include "base/mapped_file.h"
#include "media/frame_choice.h"
#include "media/made_film.h"
#include "media/patches.h"
#include "media/resize.h"

namespace fourfold {
namespace {

using testing::HasSubstr;

const std::string kGolden = std::string(FOURFOLD_SOURCE_DIR) + "/tests/golden/video/";

nlohmann::json golden_cases() {
  const auto text = read_text_file(kGolden + "case.json");
  EXPECT_TRUE(text.ok());
  return parse_json(*text).value();
}

// CRC-32 as zlib has it.
std::uint32_t crc32(std::span<const std::byte> bytes) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}
std::uint32_t crc32(const Picture& picture) { return crc32(std::as_bytes(std::span(picture.rgb))); }

std::unique_ptr<VideoReader> open(std::span<const std::byte> bytes,
                                  const VideoLimits& limits = {}) {
  auto video = VideoReader::open(bytes, limits);
  EXPECT_TRUE(video.ok()) << video.error().message;
  return video.ok() ? std::move(*video) : nullptr;
}

Error open_error(std::span<const std::byte> bytes, const VideoLimits& limits = {}) {
  auto video = VideoReader::open(bytes, limits);
  EXPECT_FALSE(video.ok());
  return video.ok() ? Error{} : video.error();
}

std::vector<Picture> frames(VideoReader& video, const std::vector<std::int64_t>& indices) {
  std::vector<Picture> pictures;
  const auto status = video.frames(indices, [&](std::int64_t index, const Picture& picture) {
    EXPECT_EQ(index, indices[pictures.size()]);
    pictures.push_back(picture);
    return true;
  });
  EXPECT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(pictures.size(), indices.size());
  return pictures;
}

std::vector<std::int64_t> all_frames(const VideoReader& video) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(video.info().n_frames));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

// --- goldens

class GoldenClip : public testing::TestWithParam<int> {};

TEST_P(GoldenClip, IsDecodedAndResizedAsByTheReference) {
  const auto clip = golden_cases()["clips"][static_cast<std::size_t>(GetParam())];
  const auto file = MappedFile::open(kGolden + clip["file"].get<std::string>());
  ASSERT_TRUE(file.ok());
  auto video = open((*file)->bytes());
  ASSERT_TRUE(video);
  const VideoInfo& info = video->info();
  EXPECT_EQ(info.n_frames, clip["frames"].get<std::int64_t>());
  EXPECT_DOUBLE_EQ(info.fps, clip["fps"].get<double>());
  EXPECT_NEAR(info.duration_s, clip["duration"].get<double>(), 1e-9);
  EXPECT_FALSE(info.has_sound);

  for (const auto& request : clip["requests"]) {
    FrameRequest asked;
    if (request["request"].is_object()) {
      asked.n_frames = request["request"]["num_frames"].get<int>();
    }
    const auto choice = choose_frames(*video, asked);
    ASSERT_TRUE(choice.ok());
    EXPECT_EQ(choice->indices, request["frame_indices"].get<std::vector<std::int64_t>>());

    const auto pictures = frames(*video, choice->indices);
    const auto target = target_size(info.size, kFrameBudget);
    ASSERT_TRUE(target.ok());
    EXPECT_EQ(target->width, request["target_width"].get<int>());
    EXPECT_EQ(target->height, request["target_height"].get<int>());
    EXPECT_EQ(soft_tokens(*target), request["soft_tokens"].get<int>());
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      EXPECT_EQ(pictures[i].size(), info.size);
      EXPECT_EQ(crc32(pictures[i]), request["decoded_crc32"][i].get<std::uint32_t>()) << i;
      const Picture resized = resize(pictures[i], *target);
      EXPECT_EQ(crc32(resized), request["resized_crc32"][i].get<std::uint32_t>()) << i;
      const auto patches = make_patches(resized, 16, PixelScale::Frame);
      EXPECT_EQ(crc32(std::as_bytes(std::span(patches.values))),
                request["pixel_values_crc32"][i].get<std::uint32_t>())
          << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Clips, GoldenClip, testing::Range(0, 5));

TEST(Video, NamesItsContainer) {
  const std::map<std::string, std::string> formats = {
      {"a_h264_25fps.mp4", "mp4"}, {"b_vp9_ntsc.webm", "webm"}, {"c_mjpeg_10fps.avi", "avi"}};
  for (const auto& [name, format] : formats) {
    const auto file = MappedFile::open(kGolden + "clips/" + name).value();
    EXPECT_EQ(open(file->bytes())->info().format, format);
  }
}

// --- films that count their frames

// The number is written as a row of ten squares, dark or bright, so that any codec keeps it.
Picture numbered(std::int64_t number, int width, int height) {
  Picture picture{.width = width, .height = height, .rgb = {}};
  picture.rgb.resize(static_cast<std::size_t>(width * height * 3));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const bool is_bright = (number >> (x * 10 / width) & 1) != 0;
      for (int c = 0; c < 3; ++c) {
        picture.rgb[static_cast<std::size_t>((y * width + x) * 3 + c)] = is_bright ? 220 : 30;
      }
    }
  }
  return picture;
}

std::int64_t number_of(const Picture& picture) {
  std::int64_t number = 0;
  for (int bit = 0; bit < 10; ++bit) {
    const int x = (2 * bit + 1) * picture.width / 20, y = picture.height / 2;
    number |= std::int64_t{picture.rgb[static_cast<std::size_t>((y * picture.width + x) * 3)] > 128}
              << bit;
  }
  return number;
}

std::vector<std::byte> numbered_film(const FilmRecipe& recipe) {
  const auto film = make_film(
      recipe, [&](std::int64_t number) { return numbered(number, recipe.width, recipe.height); });
  if (!film) ADD_FAILURE() << "this libav has no encoder " << recipe.encoder;
  return film.value_or(std::vector<std::byte>{});
}

struct Kind {
  const char* container;
  const char* encoder;
  int n_b_frames;
};

void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.container << " " << kind.encoder << " " << kind.n_b_frames;
}

class NumberedFilm : public testing::TestWithParam<Kind> {
 protected:
  FilmRecipe recipe() const {
    const auto& [container, encoder, n_b_frames] = GetParam();
    return {.container = container,
            .encoder = encoder,
            .width = 160,
            .height = 48,
            .n_frames = 150,
            .key_every = 20,
            .n_b_frames = n_b_frames};
  }
};

TEST_P(NumberedFilm, GivesEachFrameByItsNumber) {
  const auto film = numbered_film(recipe());
  auto video = open(film);
  ASSERT_TRUE(video);
  ASSERT_EQ(video->info().n_frames, 150);
  EXPECT_NEAR(video->info().fps, 25.0, 0.2);  // Matroska counts in milliseconds
  const auto pictures = frames(*video, all_frames(*video));
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    ASSERT_EQ(number_of(pictures[i]), static_cast<std::int64_t>(i));
  }
}

TEST_P(NumberedFilm, GivesTheSameFramesWhenItSeeks) {
  const auto film = numbered_film(recipe());
  auto video = open(film);
  ASSERT_TRUE(video);
  const auto all = frames(*video, all_frames(*video));
  ASSERT_EQ(all.size(), 150u);
  // Forward over key frames, back again, and each frame alone in a reader of its own.
  const std::vector<std::vector<std::int64_t>> orders = {
      {0, 19, 20, 21, 60, 61, 99, 140, 149}, {145}, {3, 4, 80}, {80}, {0, 149}, {59}, {39, 40}};
  for (const auto& order : orders) {
    const auto pictures = frames(*video, order);
    auto fresh = open(film);
    const auto alone = frames(*fresh, order);
    for (std::size_t i = 0; i < order.size(); ++i) {
      EXPECT_EQ(pictures[i].rgb, all[static_cast<std::size_t>(order[i])].rgb) << order[i];
      EXPECT_EQ(alone[i].rgb, pictures[i].rgb) << order[i];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, NumberedFilm,
                         testing::Values(Kind{"mp4", "mpeg4", 0}, Kind{"mp4", "mpeg4", 2},
                                         Kind{"mp4", "libx264", 0}, Kind{"mp4", "libx264", 3},
                                         Kind{"matroska", "libx264", 2},
                                         Kind{"webm", "libvpx-vp9", 0}, Kind{"webm", "libvpx", 0},
                                         Kind{"avi", "mpeg4", 0}, Kind{"avi", "mpeg4", 2},
                                         Kind{"avi", "mjpeg", 0}, Kind{"mpegts", "libx264", 2},
                                         Kind{"mpegts", "mpeg2video", 2}, Kind{"mov", "mjpeg", 0},
                                         Kind{"flv", "flv", 0}, Kind{"gif", "gif", 0}));

TEST(Video, KeepsOddSizesWhole) {
  // The last columns too: vector code writes eight pixels at a time.
  for (const auto& [width, height] :
       std::vector<std::pair<int, int>>{{50, 34}, {62, 18}, {18, 50}}) {
    const auto film =
        make_film({.encoder = "mpeg4", .width = width, .height = height, .n_frames = 3},
                  [&](std::int64_t) { return numbered(1023, width, height); });
    auto video = open(*film);
    const auto pictures = frames(*video, {0, 2});
    for (const auto& picture : pictures) {
      EXPECT_EQ(picture.size(), (PictureSize{width, height}));
      for (const auto value : picture.rgb) ASSERT_NEAR(value, 220, 12);
    }
  }
}

TEST(Video, AsksForNothingMoreWhenTheCallerHasEnough) {
  const auto film = numbered_film({.width = 160});
  auto video = open(film);
  int n = 0;
  const auto status =
      video->frames(all_frames(*video), [&](std::int64_t, const Picture&) { return ++n < 3; });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(n, 3);
}

TEST(Video, OneFrameIsAFilm) {
  const auto film = numbered_film({.encoder = "libx264", .width = 160, .n_frames = 1});
  auto video = open(film);
  ASSERT_TRUE(video);
  EXPECT_EQ(video->info().n_frames, 1);
  EXPECT_GT(video->info().fps, 0.0);
  EXPECT_EQ(number_of(frames(*video, {0})[0]), 0);
}

TEST(Video, RefusesIndicesThatAreNoneOfItsFrames) {
  const auto film = numbered_film({.width = 160});
  auto video = open(film);
  const auto ignore = [](std::int64_t, const Picture&) { return true; };
  for (const auto& indices : std::vector<std::vector<std::int64_t>>{{-1}, {50}, {3, 2}}) {
    EXPECT_EQ(video->frames(indices, ignore).error().code, Code::Internal);
  }
}

// --- rotation

// Turns a film by its header: the matrix of the track, which lies in "tkhd".
std::vector<std::byte> with_matrix(std::vector<std::byte> film, int a, int b, int c, int d) {
  const auto text = std::string(reinterpret_cast<const char*>(film.data()), film.size());
  const auto at = text.find("tkhd");
  EXPECT_NE(at, text.npos);
  const int values[] = {a, b, 0, c, d, 0};
  for (std::size_t i = 0; i < 6; ++i) {
    const auto value = static_cast<std::uint32_t>(values[i]) << 16;
    for (std::size_t k = 0; k < 4; ++k) {
      film[at + 4 + 40 + i * 4 + k] = static_cast<std::byte>(value >> (24 - 8 * k));
    }
  }
  return film;
}

TEST(Video, TurnsFramesUpright) {
  // Four corners of their own: red, green, blue, white from the upper left on, row by row.
  const auto draw = [](std::int64_t) {
    Picture picture{.width = 64, .height = 32, .rgb = {}};
    for (int y = 0; y < 32; ++y) {
      for (int x = 0; x < 64; ++x) {
        const int corner = y / 16 * 2 + x / 32;
        for (int c = 0; c < 3; ++c) picture.rgb.push_back(corner == c || corner == 3 ? 230 : 20);
      }
    }
    return picture;
  };
  const auto film = make_film({.encoder = "mpeg4", .width = 64, .height = 32, .n_frames = 2}, draw);
  ASSERT_TRUE(film);
  const auto corners = [](const Picture& picture) {
    std::string names;
    for (const int y : {4, picture.height - 5}) {
      for (const int x : {4, picture.width - 5}) {
        const auto* pixel = picture.rgb.data() + (y * picture.width + x) * 3;
        const int bright = (pixel[0] > 128) + (pixel[1] > 128) * 2 + (pixel[2] > 128) * 4;
        names += bright == 1   ? 'r'
                 : bright == 2 ? 'g'
                 : bright == 4 ? 'b'
                 : bright == 7 ? 'w'
                               : '?';
      }
    }
    return names;
  };
  struct Turn {
    int a, b, c, d;
    const char* corners;
    PictureSize size;
  };
  const Turn turns[] = {
      {1, 0, 0, 1, "rgbw", {64, 32}},   {0, 1, -1, 0, "brwg", {32, 64}},
      {-1, 0, 0, -1, "wbgr", {64, 32}}, {0, -1, 1, 0, "gwrb", {32, 64}},
      {-1, 0, 0, 1, "grwb", {64, 32}},  {1, 0, 0, -1, "bwrg", {64, 32}},
      {0, 1, 1, 0, "rbgw", {32, 64}},
  };
  for (const auto& turn : turns) {
    const auto turned = with_matrix(*film, turn.a, turn.b, turn.c, turn.d);
    auto video = open(turned);
    ASSERT_TRUE(video);
    EXPECT_EQ(video->info().size, turn.size) << turn.corners;
    const auto picture = frames(*video, {1})[0];
    EXPECT_EQ(picture.size(), turn.size);
    EXPECT_EQ(corners(picture), turn.corners);
  }
}

// --- limits

TEST(Video, LimitsAreCheckedBeforeAnythingIsDecoded) {
  const auto film = numbered_film({.width = 160, .height = 64, .n_frames = 100});
  struct Row {
    VideoLimits limits;
    const char* message;
  };
  const Row rows[] = {
      {{.file_bytes = 100}, "bytes, the limit is 100"},
      {{.seconds = 3.0}, "4 s long, the limit is 3 s"},
      {{.side = 159}, "160x64 pixels, the limit is 159 on a side"},
      {{.pixels = 10'239}, "10240 pixels, the limit is 10239"},
      {{.frames = 99}, "more than 99 frames, the limit"},
  };
  for (const auto& row : rows) {
    const auto error = open_error(film, row.limits);
    EXPECT_EQ(error.code, Code::ResourceExhausted);
    EXPECT_THAT(error.message, HasSubstr("video: "));
    EXPECT_THAT(error.message, HasSubstr(row.message));
  }
  EXPECT_TRUE(open(film, {.seconds = 4.0, .side = 160, .pixels = 10'240, .frames = 100}));
}

TEST(Video, EndsWhenNothingNewComes) {
  const auto film = numbered_film({.width = 160});
  EXPECT_EQ(open_error(film, {.idle_s = -1.0}).code, Code::DeadlineExceeded);
}

TEST(Video, EndsWhenTheRequestIsCancelled) {
  const auto film = numbered_film({.encoder = "libx264", .width = 160, .n_frames = 500});
  bool goes_on = true;
  int n_asked = 0;
  auto video = open(film, {.go_on = [&] {
                      ++n_asked;
                      return goes_on;
                    }});
  ASSERT_TRUE(video);
  EXPECT_GT(n_asked, 0);
  int n_frames = 0;
  const auto status = video->frames(all_frames(*video), [&](std::int64_t, const Picture&) {
    goes_on = ++n_frames < 5;
    return true;
  });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::Cancelled);
  EXPECT_LT(n_frames, 50);
  EXPECT_EQ(open_error(film, {.go_on = [] { return false; }}).code, Code::Cancelled);
}

TEST(Video, TimeOfTheCallerIsNotIdleTime) {
  const auto film = numbered_film({.width = 160, .n_frames = 4});
  auto video = open(film, {.idle_s = 0.3});
  ASSERT_TRUE(video);
  const auto status = video->frames(all_frames(*video), [](std::int64_t, const Picture&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    return true;
  });
  EXPECT_TRUE(status.ok()) << status.error().message;
}

// --- what is no film

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

TEST(Video, RefusesWhatIsNoFilm) {
  const std::string zeros(5000, '\0');
  for (const auto text :
       {std::string_view(), std::string_view("x"), std::string_view("hello world"),
        std::string_view("\x89PNG\r\n\x1a\n"), std::string_view(zeros)}) {
    const auto error = open_error(bytes_of(text));
    EXPECT_EQ(error.code, Code::InvalidArgument) << text.substr(0, 20);
    EXPECT_THAT(error.message, HasSubstr("video: not a file that can be read"));
  }
}

TEST(Video, OpensNoOtherFile) {
  // Play lists and scripts name files; none of those formats is even tried.
  const auto clip = kGolden + "clips/a_h264_25fps.mp4";
  const std::string lists[] = {
      "ffconcat version 1.0\nfile '" + clip + "'\n",
      "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:3.0,\nfile://" + clip + "\n#EXT-X-ENDLIST\n",
      "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
      "type=\"static\"><Period><BaseURL>file://" +
          clip + "</BaseURL></Period></MPD>",
      "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5000 RTP/AVP 96\r\n",
      "RTSPtext\nrtsp://127.0.0.1/film\n",
  };
  for (const auto& list : lists) {
    EXPECT_EQ(open_error(bytes_of(list)).code, Code::InvalidArgument) << list.substr(0, 20);
  }
}

TEST(Video, AFileReferenceInAFilmIsNotFollowed) {
  // A QuickTime track whose samples lie elsewhere: "dref" with an alias to the golden clip's name.
  auto film = numbered_film({.container = "mov", .encoder = "mjpeg", .width = 160});
  const std::string text(reinterpret_cast<const char*>(film.data()), film.size());
  const auto at = text.find("dref");
  ASSERT_NE(at, text.npos);
  // dref: version, count, then size, type "url ", flags 1 = in this file. Flag 0: at that address.
  const auto flags = text.find("url ", at);
  ASSERT_NE(flags, text.npos);
  film[flags + 7] = std::byte{0};
  // The samples of this file are used, or it is refused; either way nothing else is opened.
  auto video = VideoReader::open(film, {});
  if (video.ok()) {
    EXPECT_EQ(number_of(frames(**video, {7})[0]), 7);
  } else {
    EXPECT_EQ(video.error().code, Code::InvalidArgument);
  }
}

// --- sound

std::vector<std::byte> film_with_sound(const std::string& container, const std::string& encoder,
                                       int n_channels) {
  const auto film = make_film({.container = container,
                               .encoder = encoder,
                               .sound_encoder = "aac",
                               .sound_rate = 16'000,
                               .n_channels = n_channels,
                               .sound_s = 2.0},
                              [](std::int64_t number) { return numbered(number, 64, 48); });
  EXPECT_TRUE(film);
  return film.value_or(std::vector<std::byte>{});
}

// Of a sine of 440 Hz at half amplitude, away from the ends.
void expect_sine(const std::vector<float>& samples, double seconds) {
  EXPECT_NEAR(static_cast<double>(samples.size()) / kSampleRate, seconds, 0.15);
  double energy = 0.0;
  int n_rises = 0;
  const std::size_t first = samples.size() / 4, last = samples.size() * 3 / 4;
  for (std::size_t i = first; i < last; ++i) {
    energy += double{samples[i]} * samples[i];
    n_rises += samples[i - 1] < 0.0f && samples[i] >= 0.0f;
  }
  EXPECT_NEAR(std::sqrt(energy / static_cast<double>(last - first)), 0.5 / std::sqrt(2.0), 0.03);
  EXPECT_NEAR(n_rises / (static_cast<double>(last - first) / kSampleRate), 440.0, 5.0);
}

std::vector<float> read_all(SoundReader& sound) {
  std::vector<float> samples, piece(1000);
  for (;;) {
    const auto n = sound.read(piece);
    EXPECT_TRUE(n.ok()) << n.error().message;
    if (!n.ok() || *n == 0) return samples;
    samples.insert(samples.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*n));
  }
}

TEST(VideoSound, IsTheTrackOfTheFilm) {
  for (const int n_channels : {1, 2}) {
    for (const char* container : {"mp4", "matroska", "mpegts"}) {
      SCOPED_TRACE(fmt::format("{} {}", container, n_channels));
      const auto film = film_with_sound(container, "mpeg4", n_channels);
      auto video = open(film);
      ASSERT_TRUE(video);
      EXPECT_TRUE(video->info().has_sound);
      EXPECT_EQ(video->info().n_frames, 50);
      auto sound = video->sound();
      ASSERT_TRUE(sound.ok()) << sound.error().message;
      EXPECT_EQ((*sound)->info().rate, 16'000);
      EXPECT_EQ((*sound)->info().n_channels, n_channels);
      expect_sine(read_all(**sound), 2.0);
    }
  }
}

TEST(VideoSound, OfASilentFilmIsNotFound) {
  const auto film = numbered_film({.width = 160});
  auto video = open(film);
  EXPECT_FALSE(video->info().has_sound);
  EXPECT_EQ(video->sound().error().code, Code::NotFound);
}

TEST(VideoSound, AFileOfSoundAloneIsNoFilm) {
  const auto file = film_with_sound("ipod", "", 1);  // M4A
  const auto error = open_error(file);
  EXPECT_EQ(error.code, Code::FailedPrecondition);
  EXPECT_THAT(error.message, HasSubstr("no pictures in the file, only sound"));
  auto sound = SoundReader::open(file, {});
  ASSERT_TRUE(sound.ok()) << sound.error().message;
  expect_sine(read_all(**sound), 2.0);
}

TEST(VideoSound, AacWithoutAContainerIsSound) {
  const auto file = film_with_sound("adts", "", 2);
  auto sound = SoundReader::open(file, {});
  ASSERT_TRUE(sound.ok()) << sound.error().message;
  expect_sine(read_all(**sound), 2.0);
}

TEST(VideoSound, ADamagedTrackIsAnError) {
  auto file = film_with_sound("ipod", "", 1);
  const std::string text(reinterpret_cast<const char*>(file.data()), file.size());
  const auto data = text.find("mdat");
  ASSERT_NE(data, text.npos);
  for (std::size_t i = data + 3000; i < data + 6000; ++i) file[i] = std::byte{0xFF};
  auto sound = SoundReader::open(file, {});
  ASSERT_TRUE(sound.ok()) << sound.error().message;
  std::vector<float> samples(1 << 20);
  const auto n = (*sound)->read(samples);
  ASSERT_FALSE(n.ok());
  EXPECT_EQ(n.error().code, Code::InvalidArgument);
  EXPECT_THAT(n.error().message, HasSubstr("damaged after"));
}

// --- hostile films

// Opens a film, decodes what a request would, and says what came of it. Bounded in time.
void look_at_hostile(std::span<const std::byte> bytes, const std::string& name, int& n_opened) {
  const auto begin = std::chrono::steady_clock::now();
  auto video = VideoReader::open(bytes, {.idle_s = 3.0});
  if (video.ok()) {
    const VideoInfo& info = (*video)->info();
    EXPECT_GE(info.n_frames, 1) << name;
    EXPECT_TRUE(std::isfinite(info.fps) && info.fps > 0.0) << name;
    EXPECT_GT(info.size.width, 0) << name;
    EXPECT_LE(info.duration_s, 4 * 3600.0) << name;
    const auto choice = choose_frames(**video, {.n_frames = 8});
    ASSERT_TRUE(choice.ok()) << name;
    std::size_t n_frames = 0;
    const auto status =
        (*video)->frames(choice->indices, [&](std::int64_t, const Picture& picture) {
          EXPECT_EQ(picture.rgb.size(), static_cast<std::size_t>(picture.width) *
                                            static_cast<std::size_t>(picture.height) * 3);
          ++n_frames;
          return true;
        });
    if (status.ok()) {
      EXPECT_EQ(n_frames, choice->indices.size()) << name;
      ++n_opened;
    } else {
      EXPECT_THAT(status.error().message, HasSubstr("video: ")) << name;
      EXPECT_NE(status.error().code, Code::Internal) << name;
    }
  } else {
    EXPECT_THAT(video.error().message, HasSubstr("video: ")) << name;
    EXPECT_NE(video.error().code, Code::Internal) << name;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took.count(), 15.0) << name;
}

class HostileFilm : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const auto clip = golden_cases()["clips"][static_cast<std::size_t>(GetParam())];
    name_ = clip["file"].get<std::string>();
    const auto file = MappedFile::open(kGolden + name_);
    ASSERT_TRUE(file.ok());
    const auto bytes = (*file)->bytes();
    film_.assign(bytes.begin(), bytes.end());
  }

  std::string name_;
  std::vector<std::byte> film_;
};

TEST_P(HostileFilm, CutAnywhereIsAnErrorOrWhatIsThere) {
  int n_opened = 0;
  for (int i = 0; i < 24; ++i) {
    const auto n = film_.size() * static_cast<std::size_t>(i) / 24;
    look_at_hostile(std::span(film_).first(n), fmt::format("{} cut at {}", name_, n), n_opened);
  }
  EXPECT_LT(n_opened, 24);
}

TEST_P(HostileFilm, FlippedBytesAreAnErrorOrAFilm) {
  std::uint64_t state = 12345;
  const auto draw = [&](std::size_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>(state >> 33) % n;
  };
  int n_opened = 0;
  for (int i = 0; i < 30; ++i) {
    auto film = film_;
    // Some in the header, some anywhere, some a run of ones or zeros.
    const std::size_t n_flips = 1 + draw(20);
    for (std::size_t k = 0; k < n_flips; ++k) {
      const std::size_t range = i % 3 == 0 ? std::min<std::size_t>(film.size(), 800) : film.size();
      film[draw(range)] = static_cast<std::byte>(draw(256));
    }
    if (i % 3 == 2) {
      const std::size_t at = draw(film.size() - 16);
      std::fill_n(film.begin() + static_cast<std::ptrdiff_t>(at), 16, std::byte{0xFF});
    }
    look_at_hostile(film, fmt::format("{} flipped {}", name_, i), n_opened);
  }
  EXPECT_GT(n_opened, 0);  // most of a film is pictures
}

TEST_P(HostileFilm, ClaimedSizesAreNotBelieved) {
  // Every place in the headers that holds a size or a count somewhere, by boxes and elements alike:
  // four bytes at a time become as large as they can.
  int n_opened = 0;
  const std::size_t first = 4, step = 29;
  for (std::size_t at = first; at + 4 < std::min<std::size_t>(film_.size(), 900); at += step) {
    for (const std::uint8_t value : {0xFF, 0x7F, 0x00}) {
      auto film = film_;
      film[at] = std::byte{value};
      for (std::size_t k = 1; k < 4; ++k)
        film[at + k] = value == 0 ? std::byte{0} : std::byte{0xFF};
      look_at_hostile(film, fmt::format("{} {:02x} at {}", name_, value, at), n_opened);
    }
  }
}

TEST_P(HostileFilm, ItsNameAndWhatFollowsDoNotMatter) {
  // Garbage behind the film, and a film that is another one's beginning.
  int n_opened = 0;
  auto longer = film_;
  longer.insert(longer.end(), 5000, std::byte{0x5A});
  look_at_hostile(longer, name_ + " and garbage", n_opened);
  auto twice = film_;
  twice.insert(twice.end(), film_.begin(), film_.end());
  look_at_hostile(twice, name_ + " twice", n_opened);
  auto late = std::vector<std::byte>(64, std::byte{0});
  late.insert(late.end(), film_.begin(), film_.end());
  look_at_hostile(late, name_ + " behind zeros", n_opened);
}

INSTANTIATE_TEST_SUITE_P(Clips, HostileFilm, testing::Range(0, 5));

TEST(HostileSound, IsAnErrorOrSound) {
  const auto file = film_with_sound("ipod", "", 1);
  std::uint64_t state = 99;
  for (int i = 0; i < 40; ++i) {
    auto damaged = file;
    for (int k = 0; k < 5; ++k) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      damaged[(state >> 20) % damaged.size()] = static_cast<std::byte>(state >> 50);
    }
    if (i % 2 == 0) damaged.resize(damaged.size() * static_cast<std::size_t>(i) / 40);
    auto sound = SoundReader::open(damaged, {});
    if (!sound.ok()) {
      EXPECT_FALSE(sound.error().message.empty());
      continue;
    }
    std::vector<float> samples(1 << 16);
    const auto n = (*sound)->read(samples);
    if (!n.ok()) {
      EXPECT_FALSE(n.error().message.empty());
    }
    for (const float sample : samples) ASSERT_TRUE(std::isfinite(sample));
  }
}

}  // namespace
}  // namespace fourfold
