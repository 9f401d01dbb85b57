// OpenAI's transcriptions: the form of a request, the forms of a reply (http-apis.md 3.8).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/multipart.h"
#include "base/result.h"
#include "engine/transcribe.h"

namespace fourfold {

enum class TranscriptFormat { Json, Text, Srt, VerboseJson, Vtt };

struct TranscriptionRequest {
  std::string model;
  std::string_view file;  // of the form's bytes
  TranscribeOptions options;
  TranscriptFormat format = TranscriptFormat::Json;
  bool stream = false;
  std::vector<std::string> warnings;
};

// InvalidArgument naming the field.
Result<TranscriptionRequest> parse_transcription(const std::vector<FormPart>& form);

struct TranscriptionReply {
  std::string_view type;
  std::string body;
};
TranscriptionReply transcription_reply(const Transcript& transcript,
                                       const TranscriptionRequest& request);

// Server-sent events of a stream.
std::string transcript_delta(std::string_view text);
std::string transcript_done(const Transcript& transcript);

}  // namespace fourfold
