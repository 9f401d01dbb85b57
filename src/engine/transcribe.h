// Writes down what is said in a recording of any length: windows of at most 30 s, each a turn of
// its own, so that memory does not grow with the length (audio.md 7.1).
//
//   const auto transcript = TRY(transcribe(file->bytes(), {.language = "German"},
//                                          answer_by(*service, {}), listener));
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/chat_service.h"
#include "engine/transcript.h"
#include "media/sound.h"

namespace fourfold {

struct TranscribeOptions {
  std::string language;  // as the user names it; empty: whatever is spoken
  std::string prompt;    // names and spellings that may occur
  float temperature = 0.0f;
  SoundLimits limits;
};

// What the model made of one request.
struct WindowAnswer {
  std::string text;
  ChatFinish finish = ChatFinish::Stop;
  TranscriptUsage usage;
};

// Answers one request; `on_text` hears the text as it comes and is false when nobody listens any
// more. A server has queues and records of its own around this.
using AnswerWindow = std::function<Result<WindowAnswer>(
    ChatRequest request, const std::function<bool(std::string_view)>& on_text)>;

// By a service, as this asker.
AnswerWindow answer_by(ChatService& service, const RequestOrigin& origin);

// Hears the transcript grow. False ends the job: Cancelled.
class TranscriptListener {
 public:
  virtual ~TranscriptListener() = default;
  // What comes next in the text; never taken back. Empty: the model works on what comes later.
  virtual bool said(std::string_view) { return true; }
  // A segment that is final.
  virtual bool segment(const TranscriptSegment&) { return true; }
};

// A shorter patience for loops than chats have, where lists and tables repeat on purpose.
void limit_loops(PreparedChat& prepared);

// InvalidArgument and ResourceExhausted for what is no sound, damaged or too long; errors of the
// answers. The bytes are read as windows are needed.
Result<Transcript> transcribe(std::span<const std::byte> file, const TranscribeOptions& options,
                              const AnswerWindow& answer, TranscriptListener& listener);

}  // namespace fourfold
