// Eyes and ears of a model: media of a request become pieces of its prompt, and their rows.
//
//   auto media = TRY(MediaEncoder::open(checkpoint, {.text_width = 1536, .mmproj = ""}));
//   auto look = TRY(media->look_at(part, {.context = 8192}));   // counted; nothing was encoded
//   part.pieces = look.pieces;
//   TRY(media->encode({&look.source, 1}, soft, go_on));         // fills the rows of look.pieces
//
// Any number of threads may use it. Encoding takes its turn, on a thread pool of its own, so that
// steps of running answers never wait for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/shared_bytes.h"
#include "chat/conversation.h"
#include "engine/live_sound.h"
#include "formats/checkpoint.h"
#include "media/frame_choice.h"
#include "media/picture.h"
#include "media/sound.h"
#include "media/video.h"
#include "tensor/soft_rows.h"

namespace fourfold {

struct MediaEncoderOptions {
  int text_width = 0;  // D of the text body: towers of another width are refused
  std::string mmproj;  // a projector file; "": look beside the model; "none": no eyes, no ears
  int audio_keys = 0;  // keys that sound sees, itself included; 0: what the file says, or 12
  int n_threads = 1;
  std::string force_isa;
  bool exact = false;
  std::uint64_t cache_bytes = std::uint64_t{256} << 20;  // of encoded rows
  std::uint64_t memory_bytes = std::uint64_t{1} << 30;   // of decoding, all requests together
  PictureLimits picture;
  SoundLimits sound;
  VideoLimits video;
};

// What of a model's media can be used, and why not.
struct MediaCapabilities {
  bool vision = false, audio = false, video = false;
  std::string no_vision, no_audio, no_video;  // empty where it can
};

// Tokens of a prompt by modality, markers of blocks included.
struct MediaTokens {
  std::int64_t image = 0, audio = 0, video = 0;
};

// A stretch of a film that can stand for itself: its frames, then its sound.
struct FilmSegment {
  std::size_t first_piece = 0, last_piece = 0;  // pieces [first, last), joints included
  double from_s = 0.0, to_s = 0.0;
  std::int64_t tokens = 0;  // about: stamps count as 6
};

// What was seen of a medium, for the client (vision-video.md 8.5, 8.6).
struct MediaSeen {
  Part::Kind kind = Part::Kind::Image;  // Image, Audio, Video; a film of sound alone is Audio
  std::string where;                    // of the part
  MediaTokens tokens;
  int budget = 0;         // soft tokens asked for, of a picture or of a frame
  PictureSize size;       // of a picture or a film, upright
  PictureSize seen_size;  // after the resize
  // Of films.
  std::int64_t frames = 0;
  FrameRule rule = FrameRule::Uniform;
  double from_s = 0.0, to_s = 0.0;  // of sounds too
  double duration_s = 0.0;          // of the source, of sounds too
  double largest_gap_s = 0.0;
  int shots = 0;
  double sound_s = 0.0;  // heard: sum of the blocks; of sounds too
  int windows = 1;       // turns in which it is seen (8.6)
  std::vector<FilmSegment> segments;
  std::vector<std::string> notes;  // "frame 1 of 12", "this body cannot hear: frames only", …
};

// Where the rows of a part come from. Copies share everything.
struct MediaSource {
  struct Block {
    std::shared_ptr<SoftRows> rows;  // of a piece
    MediaPiece::Kind kind = MediaPiece::Kind::Image;
    std::int64_t frame = 0;                          // of Video: index in the source
    std::int64_t first_sample = 0, last_sample = 0;  // of Audio: [first, last) at 16 kHz
  };

  Part::Kind kind = Part::Kind::Image;
  std::string where;
  SharedBytes bytes;
  MediaSettings settings;  // as the part has them
  PictureSize target;      // of pictures and frames
  std::shared_ptr<const Picture>
      picture;  // of a picture: at that size, where it was decoded already
  std::vector<Block> blocks;
};

struct MediaLook {
  std::vector<MediaPiece> pieces;  // for Part::pieces
  MediaSource source;
  MediaSeen seen;
};

struct LookOptions {
  std::int64_t context = 0;          // tokens of the body: a film may have a quarter of them
  std::function<bool()> go_on = {};  // asked now and then; false: Cancelled
};

// The same rows before they were encoded: what tells them apart, without their values.
std::shared_ptr<SoftRows> without_values(const SoftRows& rows);

class MediaEncoder {
 public:
  // Finds the towers: in the checkpoint itself, or in the projector file. What is missing is no
  // error, unless a file was named. Weights are loaded when they are needed first.
  static Result<std::unique_ptr<MediaEncoder>> open(std::shared_ptr<const Checkpoint> checkpoint,
                                                    MediaEncoderOptions options);
  virtual ~MediaEncoder() = default;

  virtual const MediaCapabilities& capabilities() const = 0;
  // What a user should know: the projector file that was found, …
  virtual const std::vector<std::string>& notes() const = 0;
  // Bytes of the towers' weights in a file of their own.
  virtual std::uint64_t weight_bytes() const = 0;

  // Unimplemented "unsupported_media" for what the model or this build cannot take;
  // InvalidArgument and ResourceExhausted for what is damaged or too large. Errors name the part.
  virtual Result<MediaLook> look_at(const Part& part, const LookOptions& options) = 0;

  // Fills the values of those rows of `sources` that stand in `soft`. What the cache knows is not
  // encoded again. Cancelled when go_on, asked once a layer, says false.
  virtual Status encode(std::span<const MediaSource> sources, std::span<const SoftSpan> soft,
                        const std::function<bool()>& go_on) = 0;

  // About how long encode() takes for these blocks; what the cache knows takes no time.
  virtual double seconds_to_encode(std::span<const MediaSource::Block> blocks) const = 0;

  // For a sound that goes on. Unimplemented "unsupported_media" for a model that cannot hear.
  virtual Result<std::unique_ptr<LiveSound>> open_live_sound() = 0;

  // For /metrics and tests.
  struct Stats {
    std::uint64_t n_encoded = 0, n_from_cache = 0;  // blocks
    std::uint64_t cache_bytes = 0;
    double image_seconds = 0.0, audio_seconds = 0.0, video_seconds = 0.0;
  };
  virtual Stats stats() const = 0;
};

}  // namespace fourfold
