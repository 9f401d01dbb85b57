// How much arithmetic a block of soft rows takes, and about how long that will be: what is said
// before a request that takes long (vision-video.md 8.6, 10; audio.md 9).
//
//   EncoderPace pace(2, false);
//   pace.seconds_for(picture_flops(config, 256));   // by an assumed pace, later by the measured
//   one
#pragma once

#include <cstdint>

#include "formats/media_config.h"

namespace fourfold {

// Of a picture or a frame, and of a block of sound, that become so many rows. Multiplications and
// additions count apart.
double picture_flops(const VisionConfig& config, std::int64_t n_rows);
double sound_flops(const AudioConfig& config, std::int64_t n_rows);

class EncoderPace {
 public:
  EncoderPace(int n_threads, bool exact);

  // What was measured.
  void add(double flops, double seconds);
  double seconds_for(double flops) const;

 private:
  double assumed_per_second_;
  double flops_ = 0.0, seconds_ = 0.0;
};

}  // namespace fourfold
