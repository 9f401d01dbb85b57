// Films: container bytes → frames in RGB at native size and the sound track (vision-video.md 8).
// One file implements it on libav; without that library every call says what to install.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "media/picture.h"
#include "media/sound.h"

namespace fourfold {

struct VideoLimits {
  std::uint64_t file_bytes = std::uint64_t{2} << 30;
  double seconds = 4 * 3600.0;
  int side = 4096;
  std::uint64_t pixels = 16'800'000;
  std::int64_t frames = 4'000'000;   // 4 h at 240 per second
  double idle_s = 10.0;              // decoding without a new frame
  std::function<bool()> go_on = {};  // asked now and then; false: Cancelled
};

struct VideoInfo {
  std::string format;         // "mp4", "webm", "gif" …
  PictureSize size;           // upright
  double fps = 0.0;           // average: frames / span of the stream, above 0
  std::int64_t n_frames = 0;  // counted, at least 1
  double duration_s = 0.0;    // n_frames / fps
  bool has_sound = false;
};

class VideoReader {
 public:
  // The bytes outlive the reader. FailedPrecondition if the file has no frames, InvalidArgument for
  // what is damaged or no film, ResourceExhausted with value and limit.
  static Result<std::unique_ptr<VideoReader>> open(std::span<const std::byte> file,
                                                   const VideoLimits& limits);
  virtual ~VideoReader() = default;

  virtual const VideoInfo& info() const = 0;
  // These frames (ascending indices in presentation order), upright, one at a time; seeks where
  // that is shorter. on_frame returns false to stop. A frame that is damaged is InvalidArgument.
  // Where the stream changes its size, a picture has the size of its frame.
  virtual Status frames(
      std::span<const std::int64_t> indices,
      const std::function<bool(std::int64_t index, const Picture&)>& on_frame) = 0;
  // The sound track, as SoundReader gives it. NotFound if there is none.
  virtual Result<std::unique_ptr<SoundReader>> sound() = 0;
};

// "video needs libav: apt-get install libavformat-dev …", or empty when it is there.
std::string missing_video_library();

}  // namespace fourfold
