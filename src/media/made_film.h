// Makes films for tests, with the encoders of libav where it has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "media/picture.h"

namespace fourfold {

struct FilmRecipe {
  std::string container = "mp4";  // "matroska", "avi", "mpegts", "gif" …
  std::string encoder = "mpeg4";  // "libx264", "mjpeg", "ffv1" …; empty: no pictures
  int width = 64, height = 48, fps = 25;
  std::int64_t n_frames = 50;
  int key_every = 12, n_b_frames = 0;
  std::string sound_encoder = {};  // "aac" …
  int sound_rate = 16'000, n_channels = 1;
  double sound_s = 0.0;
  double sound_hz = 440.0;  // a sine at half amplitude
};

// nullopt if this libav lacks the encoder. Without `draw` every frame is of a grey of its own.
std::optional<std::vector<std::byte>> make_film(
    const FilmRecipe& recipe, const std::function<Picture(std::int64_t)>& draw = {});

}  // namespace fourfold
