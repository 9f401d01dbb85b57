// How much memory ten minutes of film take to be looked through: one frame and what the decoder
// holds, whatever the length (vision-video.md 8.6).
#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "base/mapped_file.h"
#include "media/frame_choice.h"
#include "media/made_film.h"
#include "media/video.h"

namespace fourfold {
namespace {

constexpr int kWidth = 1280, kHeight = 720, kFps = 2;
constexpr std::int64_t kFrames = 600 * kFps;
constexpr std::int64_t kSceneFrames = 45 * kFps;
constexpr std::int64_t kLimitBytes = std::int64_t{256} << 20;

// Bars that move, of other colours in each scene.
Picture draw(std::int64_t frame) {
  Picture picture{.width = kWidth, .height = kHeight, .rgb = {}};
  picture.rgb.resize(std::size_t{kWidth} * kHeight * 3);
  const auto scene = static_cast<int>(frame / kSceneFrames);
  std::size_t at = 0;
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      const int bar = (x + static_cast<int>(frame % kSceneFrames)) / 40 % 8;
      for (int c = 0; c < 3; ++c) {
        picture.rgb[at++] = static_cast<std::uint8_t>((bar * 20 + scene * 67 * (c + 1)) % 220 + 16);
      }
    }
  }
  return picture;
}

// Of this process, without what is mapped from files.
std::int64_t anonymous_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word != "RssAnon:") continue;
    std::int64_t kilobytes = 0;
    status >> kilobytes;
    return kilobytes << 10;
  }
  return -1;
}

class PeakMemory {
 public:
  PeakMemory() : watcher_([this](std::stop_token stop) { watch(stop); }) {}
  std::int64_t stop() {
    watcher_.request_stop();
    watcher_.join();
    return peak_;
  }

 private:
  void watch(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      peak_ = std::max<std::int64_t>(peak_, anonymous_bytes());
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  std::atomic<std::int64_t> peak_ = 0;
  std::jthread watcher_;
};

TEST(VideoMemory, OfTenMinutesStaysBelowItsLimit) {
  if (anonymous_bytes() < 0) GTEST_SKIP() << "this system does not tell";
  const auto path =
      std::filesystem::temp_directory_path() / fmt::format("fourfold-film-{}.mp4", ::getpid());
  {
    FilmRecipe recipe{.encoder = "libx264",
                      .width = kWidth,
                      .height = kHeight,
                      .fps = kFps,
                      .n_frames = kFrames,
                      .key_every = 50,
                      .n_b_frames = 2};
    auto film = make_film(recipe, draw);
    if (!film) {
      recipe.encoder = "mpeg4";
      film = make_film(recipe, draw);
    }
    ASSERT_TRUE(film);
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(film->data()),
               static_cast<std::streamsize>(film->size()));
  }
  const auto file = MappedFile::open(path.string());
  ASSERT_TRUE(file.ok());
  std::filesystem::remove(path);
  ::malloc_trim(0);

  const std::int64_t before = anonymous_bytes();
  PeakMemory memory;
  auto video = VideoReader::open((*file)->bytes(), {});
  ASSERT_TRUE(video.ok()) << video.error().message;
  EXPECT_EQ((*video)->info().n_frames, kFrames);
  const auto choice = choose_frames(**video, {.frame_tokens = 66});
  ASSERT_TRUE(choice.ok()) << choice.error().message;
  EXPECT_EQ(choice->indices.size(), 110u);
  EXPECT_EQ(choice->n_shots, static_cast<int>(kFrames / kSceneFrames) + 1);
  std::size_t n_frames = 0;
  const auto status = (*video)->frames(choice->indices, [&](std::int64_t, const Picture&) {
    ++n_frames;
    return true;
  });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(n_frames, 110u);
  const std::int64_t peak = memory.stop();
  RecordProperty("bytes", std::to_string(peak - before));
  EXPECT_LT(peak - before, kLimitBytes);
}

}  // namespace
}  // namespace fourfold
