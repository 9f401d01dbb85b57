// The text of a long recording: windows joined, segments with their times, and how they are
// written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.h"
#include "chat/chat_event.h"

namespace fourfold {

// What was said in one window.
struct TranscriptSegment {
  double start_s = 0.0, end_s = 0.0;     // of its window
  std::string text;                      // what joining left of it; may be empty
  bool is_silent = false;                // nothing was heard, and the model not asked
  ChatFinish finish = ChatFinish::Stop;  // Loop, Length: why the text ends early
};

struct TranscriptUsage {
  std::int64_t prompt_tokens = 0, audio_tokens = 0;  // audio_tokens are some of the prompt's
  std::int64_t answer_tokens = 0;
};

struct Transcript {
  std::string text;
  std::vector<TranscriptSegment> segments;
  double duration_s = 0.0;
  TranscriptUsage usage;
  std::vector<std::string> notes;
};

// Joins the texts of windows that follow each other: a space between them; where two windows share
// their 2 s, the longest run of at least two equal words among the last 12 and the first 12 is kept
// once, and what the first window said behind it and the second before it, cut off as these words
// are, is left out.
class TranscriptJoiner {
 public:
  // The text of the next window. `overlaps`: it begins within the one before.
  void add(std::string_view text, bool overlaps);

  // What the last window but one has become since: final once the next window was added.
  const std::string& before_last() const { return before_last_; }
  const std::string& last() const { return last_; }

 private:
  std::string before_last_, last_;
};

// "00:01:02,345" and "00:01:02.345".
std::string subtitle_time(double seconds, char point);
// Segments without a text are left out.
std::string to_srt(const std::vector<TranscriptSegment>& segments);
std::string to_vtt(const std::vector<TranscriptSegment>& segments);
// OpenAI's verbose form: {"task", "language", "duration", "text", "segments": [{"id", "start",
// "end", "text", "finish"}]}.
JsonValue verbose_transcript(const Transcript& transcript, std::string_view language);

}  // namespace fourfold
