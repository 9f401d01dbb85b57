// What media become in a prompt: decoded as far as it takes to count and to choose, not encoded
// (vision-video.md 8.3 to 8.6, audio.md 7.1).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sha256.h"
#include "engine/media_encoder.h"
#include "engine/memory_gate.h"
#include "media/sound_windows.h"

namespace fourfold {

// SHA-256 over fields, each behind its length.
class MediaKeyWriter {
 public:
  MediaKeyWriter& add(std::span<const std::byte> bytes);
  MediaKeyWriter& add(std::string_view text);
  MediaKeyWriter& add(std::int64_t number);
  MediaKey finish() { return hash_.finish(); }

 private:
  Sha256 hash_;
};

// What the model behind the eyes and ears is like.
struct LookRules {
  bool hears = false;
  bool is_unified_audio = false;  // frames of 640 samples, a block of any length (12B)
  int text_width = 0;
  MediaKey encoder = {};  // tells encoders apart
  PictureLimits picture;
  SoundLimits sound;
  VideoLimits video;
};

class MediaLooker {
 public:
  // `gate` outlives this.
  MediaLooker(LookRules rules, MemoryGate& gate) : rules_(std::move(rules)), gate_(gate) {}

  // `content` is the SHA-256 of the bytes.
  Result<MediaLook> picture(const Part& part, const MediaKey& content,
                            const LookOptions& options) const;
  Result<MediaLook> sound(const Part& part, const MediaKey& content,
                          const LookOptions& options) const;
  Result<MediaLook> film(const Part& part, const MediaKey& content,
                         const LookOptions& options) const;

  // A picture of the file at the size in which it is seen.
  Result<std::shared_ptr<const Picture>> read_picture(std::span<const std::byte> file,
                                                      PictureSize target,
                                                      const std::function<bool()>& go_on,
                                                      int* n_frames) const;
  // The memory that it takes to decode a film.
  Result<MemoryGate::Pass> enter(const VideoInfo& film, const std::function<bool()>& go_on) const;
  std::int64_t audio_tokens(std::int64_t n_samples) const;

 private:
  class FilmWriter;

  Result<std::vector<SoundWindow>> film_sound(VideoReader& video, const Part& part,
                                              const LookOptions& options, MediaSeen& seen) const;
  void write_frames_first(const FrameChoice& choice, double fps,
                          const std::vector<SoundWindow>& windows, FilmWriter& out) const;
  void write_segments(const FrameChoice& choice, double fps,
                      const std::vector<SoundWindow>& windows, FilmWriter& out) const;

  const LookRules rules_;
  MemoryGate& gate_;
};

}  // namespace fourfold
