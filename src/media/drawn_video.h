// A film for tests and fuzzing whose frames are drawn by a function.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "media/video.h"

namespace fourfold {

class DrawnVideo final : public VideoReader {
 public:
  DrawnVideo(std::int64_t n_frames, double fps, std::function<Picture(std::int64_t)> draw)
      : draw_(std::move(draw)) {
    info_ = {.format = "drawn",
             .size = {},
             .fps = fps,
             .n_frames = n_frames,
             .duration_s = static_cast<double>(n_frames) / fps};
    info_.size = draw_(0).size();
  }

  // This frame, and what follows it, cannot be read.
  void fail_at(std::int64_t index) { fail_at_ = index; }
  // Frames that were asked for.
  std::int64_t n_drawn() const { return n_drawn_; }

  const VideoInfo& info() const override { return info_; }

  Status frames(std::span<const std::int64_t> indices,
                const std::function<bool(std::int64_t, const Picture&)>& on_frame) override {
    for (const std::int64_t index : indices) {
      if (index >= fail_at_) return invalid_argument("video: frame {} is damaged", fail_at_);
      ++n_drawn_;
      if (!on_frame(index, draw_(index))) break;
    }
    return {};
  }

  Result<std::unique_ptr<SoundReader>> sound() override {
    return not_found("video: no sound in the file");
  }

 private:
  std::function<Picture(std::int64_t)> draw_;
  VideoInfo info_;
  std::int64_t fail_at_ = INT64_MAX;
  std::int64_t n_drawn_ = 0;
};

}  // namespace fourfold
