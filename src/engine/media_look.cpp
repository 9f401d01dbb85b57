#include "engine/media_look.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "media/log_mel.h"
#include "media/resize.h"
#include "media/sound_windows.h"

namespace fourfold {
namespace {

// Samples that are read at once.
constexpr std::size_t kReadSamples = 16'000;
constexpr std::int64_t kUnifiedFrameSamples = 640;
constexpr int kMarkers = 2;  // of a block: its begin and its end
// What libav may hold of a film beside a frame in two forms.
constexpr std::uint64_t kDecoderBytes = std::uint64_t{64} << 20;
constexpr std::int64_t kVideoTokens = 8192;
constexpr std::int64_t kVideoPartOfContext = 4;

std::uint64_t n_pixels(PictureSize size) {
  return static_cast<std::uint64_t>(size.width) * static_cast<std::uint64_t>(size.height);
}

double seconds_of(std::int64_t n_samples) { return static_cast<double>(n_samples) / kSampleRate; }

std::int64_t samples_of(double seconds) {
  return static_cast<std::int64_t>(std::llround(seconds * kSampleRate));
}

// "05:00"; whole seconds, as frames have it.
std::string stamp_of(double seconds) {
  return frame_stamp(static_cast<std::int64_t>(std::floor(seconds)), 1.0);
}

double second_of(std::int64_t index, double fps) {
  return fps > 0.0 ? static_cast<double>(index) / fps : 0.0;
}

FrameRequest frame_request(const MediaSettings& settings, int frame_tokens,
                           const LookOptions& options) {
  FrameRequest request{.fps = settings.fps,
                       .n_frames = settings.n_frames,
                       .from_s = settings.from_s.value_or(0.0),
                       .to_s = settings.to_s,
                       .frame_tokens = frame_tokens,
                       .video_tokens = settings.video_tokens.value_or(kVideoTokens)};
  if (options.context > 0) {
    request.video_tokens = std::min(request.video_tokens, options.context / kVideoPartOfContext);
  }
  return request;
}

// A stretch of a sound: what is heard of it, in blocks.
struct HeardSound {
  std::vector<SoundWindow> windows;  // positions in the file, silent ones too
  double duration_s = 0.0;           // of the file
  std::vector<std::string> notes;
};

// Reads a sound to its end: how long it is, and where it is cut.
Result<HeardSound> listen(SoundReader& reader, const MediaSettings& settings, bool in_one_block,
                          const std::function<bool()>& go_on) {
  const std::int64_t from = samples_of(settings.from_s.value_or(0.0));
  const std::int64_t to =
      settings.to_s ? samples_of(*settings.to_s) : std::numeric_limits<std::int64_t>::max();
  if (from < 0 || to <= from) {
    return invalid_argument("from {} s to {} s: expected a stretch of the sound",
                            settings.from_s.value_or(0.0), settings.to_s.value_or(0.0));
  }
  HeardSound heard;
  SoundCutter cutter(false);
  std::vector<float> samples(kReadSamples), of_window;
  std::int64_t at = 0;
  SoundWindow window;
  const auto take_windows = [&] {
    while (cutter.next(window, of_window)) {
      heard.windows.push_back({window.first + from, window.last + from, window.is_silent, false});
    }
  };
  while (true) {
    if (go_on && !go_on()) return Error{Code::Cancelled, "stopped"};
    const auto n = static_cast<std::int64_t>(TRY(reader.read(samples)));
    if (n == 0) break;
    const std::int64_t begin = std::clamp<std::int64_t>(from - at, 0, n);
    const std::int64_t end = std::clamp<std::int64_t>(to - at, begin, n);
    if (!in_one_block && end > begin) {
      cutter.push(std::span(samples).subspan(static_cast<std::size_t>(begin),
                                             static_cast<std::size_t>(end - begin)));
      take_windows();
    }
    at += n;
  }
  if (in_one_block) {
    if (std::min(at, to) > from) heard.windows = {{from, std::min(at, to), false, false}};
  } else {
    cutter.finish();
    take_windows();
  }
  heard.duration_s = seconds_of(at);
  heard.notes = reader.notes();
  return heard;
}

}  // namespace

MediaKeyWriter& MediaKeyWriter::add(std::span<const std::byte> bytes) {
  const std::uint64_t n = bytes.size();
  hash_.update(std::as_bytes(std::span(&n, 1)));
  hash_.update(bytes);
  return *this;
}
MediaKeyWriter& MediaKeyWriter::add(std::string_view text) {
  return add(std::as_bytes(std::span(text)));
}
MediaKeyWriter& MediaKeyWriter::add(std::int64_t number) {
  return add(std::as_bytes(std::span(&number, 1)));
}

// --- pictures ---

Result<std::shared_ptr<const Picture>> MediaLooker::read_picture(std::span<const std::byte> file,
                                                                 PictureSize target,
                                                                 const std::function<bool()>& go_on,
                                                                 int* n_frames) const {
  const PictureSize size = TRY(read_picture_size(file, rules_.picture));
  // With alpha while it is decoded, without it afterwards, and half resized.
  const auto pass = TRY(gate_.enter(7 * n_pixels(size) + 6 * n_pixels(target), go_on));
  const auto decoded = TRY(decode_picture(file, rules_.picture));
  if (n_frames) *n_frames = decoded.n_frames;
  return std::make_shared<const Picture>(resize(decoded.picture, target));
}

Result<MediaLook> MediaLooker::picture(const Part& part, const MediaKey& content,
                                       const LookOptions& options) const {
  MediaLook look;
  MediaSeen& seen = look.seen;
  seen.kind = Part::Kind::Image;
  seen.budget = part.settings.budget.value_or(kImageBudget);
  seen.size = TRY(read_picture_size(part.bytes.bytes(), rules_.picture));
  seen.seen_size = TRY(target_size(seen.size, seen.budget));
  int n_frames = 1;
  look.source.picture =
      TRY(read_picture(part.bytes.bytes(), seen.seen_size, options.go_on, &n_frames));
  if (n_frames > 1) seen.notes.push_back(fmt::format("frame 1 of {}", n_frames));

  auto rows = std::make_shared<SoftRows>();
  rows->key = MediaKeyWriter()
                  .add("image")
                  .add(std::as_bytes(std::span(content)))
                  .add(seen.budget)
                  .add(std::as_bytes(std::span(rules_.encoder)))
                  .finish();
  rows->n_rows = soft_tokens(seen.seen_size);
  rows->is_visual = true;
  rows->width = rules_.text_width;
  seen.tokens.image = rows->n_rows + kMarkers;
  look.source.kind = Part::Kind::Image;
  look.source.target = seen.seen_size;
  look.source.blocks = {{.rows = rows, .kind = MediaPiece::Kind::Image}};
  look.pieces = {{.kind = MediaPiece::Kind::Image, .text = {}, .rows = rows}};
  return look;
}

// --- sounds ---

std::int64_t MediaLooker::audio_tokens(std::int64_t n_samples) const {
  if (rules_.is_unified_audio) return (n_samples + kUnifiedFrameSamples - 1) / kUnifiedFrameSamples;
  return audio_soft_tokens(mel_frames(n_samples));
}

// Writes the pieces of a film or of a sound, and counts.
class MediaLooker::FilmWriter {
 public:
  FilmWriter(const LookRules& rules, const MediaKey& content, MediaLook& look)
      : rules_(rules), content_(content), look_(look) {}

  void text(std::string text) {
    look_.pieces.push_back(
        {.kind = MediaPiece::Kind::Text, .text = std::move(text), .rows = nullptr});
  }

  // "00:05 ", behind one space where something stands before it.
  void stamp(std::string_view stamp) {
    text(fmt::format("{}{} ", look_.pieces.empty() ? "" : " ", stamp));
  }

  void frame(std::int64_t index, double fps) {
    stamp(frame_stamp(index, fps));
    auto rows = std::make_shared<SoftRows>();
    rows->key = writer("frame").add(index).add(look_.seen.budget).finish();
    rows->n_rows = soft_tokens(look_.seen.seen_size);
    rows->is_visual = true;
    look_.seen.tokens.video += rows->n_rows + kMarkers;
    block({.rows = std::move(rows), .kind = MediaPiece::Kind::Video, .frame = index});
  }

  void sound(const SoundWindow& window, std::int64_t n_tokens) {
    auto rows = std::make_shared<SoftRows>();
    rows->key = writer("sound").add(window.first).add(window.last).finish();
    rows->n_rows = n_tokens;
    look_.seen.tokens.audio += n_tokens + kMarkers;
    look_.seen.sound_s += seconds_of(window.last - window.first);
    block({.rows = std::move(rows),
           .kind = MediaPiece::Kind::Audio,
           .first_sample = window.first,
           .last_sample = window.last});
  }

  // What was written since the last segment.
  void end_segment(double from_s, double to_s) {
    auto& segments = look_.seen.segments;
    const std::size_t first = segments.empty() ? 0 : segments.back().last_piece;
    FilmSegment segment{
        .first_piece = first, .last_piece = look_.pieces.size(), .from_s = from_s, .to_s = to_s};
    for (std::size_t i = first; i < segment.last_piece; ++i) {
      const MediaPiece& piece = look_.pieces[i];
      segment.tokens += piece.rows ? piece.rows->n_rows + kMarkers : kStampTokens - kMarkers;
    }
    if (segment.first_piece < segment.last_piece) segments.push_back(segment);
  }

 private:
  MediaKeyWriter writer(std::string_view kind) const {
    MediaKeyWriter writer;
    writer.add(kind)
        .add(std::as_bytes(std::span(content_)))
        .add(std::as_bytes(std::span(rules_.encoder)));
    return writer;
  }

  void block(MediaSource::Block block) {
    block.rows->width = rules_.text_width;
    look_.pieces.push_back({.kind = block.kind, .text = {}, .rows = block.rows});
    look_.source.blocks.push_back(std::move(block));
  }

  const LookRules& rules_;
  const MediaKey& content_;
  MediaLook& look_;
};

Result<MediaLook> MediaLooker::sound(const Part& part, const MediaKey& content,
                                     const LookOptions& options) const {
  const auto reader = TRY(SoundReader::open(part.bytes.bytes(), rules_.sound));
  auto heard = TRY(listen(*reader, part.settings, rules_.is_unified_audio, options.go_on));
  MediaLook look;
  MediaSeen& seen = look.seen;
  seen.kind = look.source.kind = Part::Kind::Audio;
  seen.duration_s = heard.duration_s;
  seen.notes = std::move(heard.notes);
  if (heard.windows.empty()) {
    return invalid_argument("no sound from {} s on: it lasts {:.2f} s",
                            part.settings.from_s.value_or(0.0), heard.duration_s);
  }
  seen.from_s = seconds_of(heard.windows.front().first);
  seen.to_s = seconds_of(heard.windows.back().last);
  FilmWriter out(rules_, content, look);
  out.text("");  // a recording of silence alone is looked at, too
  int n_silent = 0;
  for (const SoundWindow& window : heard.windows) {
    const std::int64_t n_tokens = audio_tokens(window.last - window.first);
    if (n_tokens == 0) {
      return invalid_argument("{} samples at 16 kHz: expected at least {} ({} ms)",
                              window.last - window.first, kLeastSamples,
                              1000 * kLeastSamples / kSampleRate);
    }
    if (window.is_silent) {
      ++n_silent;
    } else {
      out.sound(window, n_tokens);
    }
    out.end_segment(seconds_of(window.first), seconds_of(window.last));
  }
  if (n_silent > 0) {
    seen.notes.push_back(
        fmt::format("{} of {} stretches are silent and left out", n_silent, heard.windows.size()));
  }
  return look;
}

// --- films ---

Result<MemoryGate::Pass> MediaLooker::enter(const VideoInfo& film,
                                            const std::function<bool()>& go_on) const {
  return gate_.enter(6 * n_pixels(film.size) + kDecoderBytes, go_on);
}

// Where the sound of a film is cut; nothing when it is not to be heard, or cannot be.
Result<std::vector<SoundWindow>> MediaLooker::film_sound(VideoReader& video, const Part& part,
                                                         const LookOptions& options,
                                                         MediaSeen& seen) const {
  const bool is_long = seen.rule == FrameRule::Shots;
  const bool is_asked = part.settings.sound.value_or(false);
  if (!part.settings.sound.value_or(is_long)) return std::vector<SoundWindow>();
  if (!video.info().has_sound) {
    if (is_asked) seen.notes.push_back("it has no sound");
    return std::vector<SoundWindow>();
  }
  if (!rules_.hears) {
    seen.notes.push_back("this model does not hear: frames only");
    return std::vector<SoundWindow>();
  }
  const auto reader = TRY(video.sound());
  MediaSettings stretch;
  stretch.from_s = seen.from_s;
  stretch.to_s = seen.to_s;
  auto heard = TRY(listen(*reader, stretch, rules_.is_unified_audio && !is_long, options.go_on));
  for (auto& note : heard.notes) seen.notes.push_back(std::move(note));
  return std::move(heard.windows);
}

// Frames first, then the blocks of sound (vision-video.md 8.6, rules 1 and 2).
void MediaLooker::write_frames_first(const FrameChoice& choice, double fps,
                                     const std::vector<SoundWindow>& windows,
                                     FilmWriter& out) const {
  for (std::size_t i = 0; i < choice.indices.size(); ++i) {
    out.frame(choice.indices[i], fps);
    const bool is_last = i + 1 == choice.indices.size();
    out.end_segment(second_of(choice.indices[i], fps),
                    is_last ? choice.to_s : second_of(choice.indices[i + 1], fps));
  }
  for (const SoundWindow& window : windows) {
    const std::int64_t n_tokens = audio_tokens(window.last - window.first);
    if (window.is_silent || n_tokens == 0) continue;
    out.sound(window, n_tokens);
    out.end_segment(seconds_of(window.first), seconds_of(window.last));
  }
}

// Segments at the cuts of the sound: the frames of each, then its block (rule 3).
void MediaLooker::write_segments(const FrameChoice& choice, double fps,
                                 const std::vector<SoundWindow>& windows, FilmWriter& out) const {
  std::size_t n_done = 0;
  for (const SoundWindow& window : windows) {
    const bool is_last = &window == &windows.back();
    const double end_s = seconds_of(window.last);
    while (n_done < choice.indices.size() &&
           (is_last || second_of(choice.indices[n_done], fps) < end_s)) {
      out.frame(choice.indices[n_done++], fps);
    }
    const std::int64_t n_tokens = audio_tokens(window.last - window.first);
    if (!window.is_silent && n_tokens > 0) {
      out.stamp(stamp_of(seconds_of(window.first)));
      out.sound(window, n_tokens);
    }
    out.end_segment(seconds_of(window.first), end_s);
  }
}

Result<MediaLook> MediaLooker::film(const Part& part, const MediaKey& content,
                                    const LookOptions& options) const {
  VideoLimits limits = rules_.video;
  limits.go_on = options.go_on;
  auto opened = VideoReader::open(part.bytes.bytes(), limits);
  // Without a picture it is a sound.
  if (!opened.ok() && opened.error().code == Code::FailedPrecondition && rules_.hears) {
    auto look = sound(part, content, options);
    if (!look.ok()) return std::move(opened).error();
    look->seen.notes.push_back("a film without frames: its sound alone");
    return look;
  }
  const auto video = TRY(std::move(opened));
  const VideoInfo& info = video->info();
  const auto pass = TRY(enter(info, options.go_on));

  MediaLook look;
  MediaSeen& seen = look.seen;
  seen.kind = look.source.kind = Part::Kind::Video;
  seen.budget = part.settings.budget.value_or(kFrameBudget);
  seen.size = info.size;
  seen.seen_size = look.source.target = TRY(target_size(info.size, seen.budget));
  seen.duration_s = info.duration_s;
  const auto request = frame_request(part.settings, soft_tokens(seen.seen_size), options);
  const FrameChoice choice = TRY(choose_frames(*video, request));
  if (options.go_on && !options.go_on()) return Error{Code::Cancelled, "stopped"};
  seen.frames = static_cast<std::int64_t>(choice.indices.size());
  seen.rule = choice.rule;
  seen.from_s = choice.from_s;
  seen.to_s = choice.to_s;
  seen.largest_gap_s = choice.largest_gap_s;
  seen.shots = choice.n_shots;

  const auto windows = TRY(film_sound(*video, part, options, seen));
  FilmWriter out(rules_, content, look);
  if (choice.rule == FrameRule::Shots && !windows.empty()) {
    write_segments(choice, info.fps, windows, out);
  } else {
    write_frames_first(choice, info.fps, windows, out);
  }
  return look;
}

}  // namespace fourfold
