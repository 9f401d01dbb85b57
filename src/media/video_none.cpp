// Films and their sound in a build without libav.
#include "media/sound_readers.h"
#include "media/video.h"

namespace fourfold {

std::string missing_video_library() {
  return "this build has no libav (apt-get install libavformat-dev libavcodec-dev libswscale-dev "
         "libswresample-dev, then build again)";
}

Result<std::unique_ptr<VideoReader>> VideoReader::open(std::span<const std::byte>,
                                                       const VideoLimits&) {
  return unimplemented("films: {}", missing_video_library());
}

Result<std::unique_ptr<SampleSource>> open_libav_sound(std::span<const std::byte> file,
                                                       const SoundLimits&) {
  const auto format = find_sound_format(file);
  return unimplemented("{}: {}", format.empty() ? "sound" : format, missing_video_library());
}

}  // namespace fourfold
