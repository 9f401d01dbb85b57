#include "api/transcription.h"

#include <charconv>
#include <set>

#include "base/json_value.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr std::size_t kMostLanguageBytes = 64;
constexpr std::size_t kMostPromptBytes = 8192;

Error field_error(std::string_view field, std::string_view message) {
  return invalid_argument("{}: {}", field, message)
      .with({.reason = "", .field = std::string(field)});
}

Result<std::string> read_text(const FormPart& part, std::size_t most_bytes) {
  if (!is_utf8(part.body)) return field_error(part.name, "is no UTF-8");
  if (part.body.size() > most_bytes) {
    return field_error(part.name,
                       fmt::format("{} bytes, the limit is {}", part.body.size(), most_bytes));
  }
  return std::string(part.body);
}

Result<float> read_temperature(const FormPart& part) {
  float value = 0.0f;
  const char* end = part.body.data() + part.body.size();
  const auto [stop, failed] = std::from_chars(part.body.data(), end, value);
  if (failed != std::errc() || stop != end || !(value >= 0.0f && value <= 2.0f)) {
    return field_error(part.name,
                       fmt::format("{}, expected a number from 0 to 2", printable(part.body)));
  }
  return value;
}

Result<TranscriptFormat> read_format(const FormPart& part) {
  if (part.body == "json") return TranscriptFormat::Json;
  if (part.body == "text") return TranscriptFormat::Text;
  if (part.body == "srt") return TranscriptFormat::Srt;
  if (part.body == "verbose_json") return TranscriptFormat::VerboseJson;
  if (part.body == "vtt") return TranscriptFormat::Vtt;
  return field_error(part.name, fmt::format("{}, expected json, text, srt, verbose_json or vtt",
                                            printable(part.body)));
}

Result<bool> read_boolean(const FormPart& part) {
  if (part.body == "true" || part.body == "True" || part.body == "1") return true;
  if (part.body == "false" || part.body == "False" || part.body == "0") return false;
  return field_error(part.name, fmt::format("{}, expected true or false", printable(part.body)));
}

Status read_granularity(const FormPart& part) {
  if (part.body == "segment") return {};
  if (part.body == "word") {
    return field_error(part.name, "word: the model gives no times of words (expected segment)");
  }
  return field_error(part.name, fmt::format("{}, expected segment", printable(part.body)));
}

Status read_field(const FormPart& part, TranscriptionRequest& request) {
  const std::string& name = part.name;
  if (name == "file") {
    request.file = part.body;
  } else if (name == "model") {
    request.model = TRY(read_text(part, kMostPromptBytes));
  } else if (name == "language") {
    request.options.language = TRY(read_text(part, kMostLanguageBytes));
  } else if (name == "prompt") {
    request.options.prompt = TRY(read_text(part, kMostPromptBytes));
  } else if (name == "temperature") {
    request.options.temperature = TRY(read_temperature(part));
  } else if (name == "response_format") {
    request.format = TRY(read_format(part));
  } else if (name == "stream") {
    request.stream = TRY(read_boolean(part));
  } else if (name == "timestamp_granularities[]" || name == "timestamp_granularities") {
    return read_granularity(part);
  } else {
    request.warnings.push_back(fmt::format("{} is ignored", printable(name)));
  }
  return {};
}

JsonValue count(std::int64_t n) { return JsonValue::number(fmt::format("{}", n)); }

JsonValue usage_json(const TranscriptUsage& usage) {
  auto details = JsonValue::object();
  details.set("audio_tokens", count(usage.audio_tokens));
  details.set("text_tokens", count(usage.prompt_tokens - usage.audio_tokens));
  auto json = JsonValue::object();
  json.set("type", JsonValue::of("tokens"));
  json.set("input_tokens", count(usage.prompt_tokens));
  json.set("output_tokens", count(usage.answer_tokens));
  json.set("total_tokens", count(usage.prompt_tokens + usage.answer_tokens));
  json.set("input_token_details", std::move(details));
  return json;
}

std::string server_sent(const JsonValue& json) {
  return fmt::format("data: {}\n\n", to_json_text(json));
}

}  // namespace

Result<TranscriptionRequest> parse_transcription(const std::vector<FormPart>& form) {
  TranscriptionRequest request;
  std::set<std::string> seen;
  for (const FormPart& part : form) {
    const bool is_list = part.name.ends_with("[]");
    if (!seen.insert(part.name).second && !is_list) return field_error(part.name, "given twice");
    TRY(read_field(part, request));
  }
  if (seen.count("file") == 0) return field_error("file", "missing, expected a sound file");
  if (request.file.empty()) return field_error("file", "empty, expected a sound file");
  if (request.model.empty()) return field_error("model", "missing");
  const bool may_stream =
      request.format == TranscriptFormat::Json || request.format == TranscriptFormat::Text;
  if (request.stream && !may_stream) {
    return field_error("stream", "expected false unless response_format is json or text");
  }
  return request;
}

TranscriptionReply transcription_reply(const Transcript& transcript,
                                       const TranscriptionRequest& request) {
  constexpr std::string_view kJsonType = "application/json";
  constexpr std::string_view kTextType = "text/plain; charset=utf-8";
  switch (request.format) {
    case TranscriptFormat::Text: return {kTextType, transcript.text + "\n"};
    case TranscriptFormat::Srt: return {kTextType, to_srt(transcript.segments)};
    case TranscriptFormat::Vtt: return {"text/vtt; charset=utf-8", to_vtt(transcript.segments)};
    case TranscriptFormat::VerboseJson: {
      auto json = verbose_transcript(transcript, request.options.language);
      json.set("usage", usage_json(transcript.usage));
      return {kJsonType, to_json_text(json)};
    }
    case TranscriptFormat::Json: break;
  }
  auto json = JsonValue::object();
  json.set("text", JsonValue::of(transcript.text));
  json.set("usage", usage_json(transcript.usage));
  return {kJsonType, to_json_text(json)};
}

std::string transcript_delta(std::string_view text) {
  auto json = JsonValue::object();
  json.set("type", JsonValue::of("transcript.text.delta"));
  json.set("delta", JsonValue::of(std::string(text)));
  return server_sent(json);
}

std::string transcript_done(const Transcript& transcript) {
  auto json = JsonValue::object();
  json.set("type", JsonValue::of("transcript.text.done"));
  json.set("text", JsonValue::of(transcript.text));
  json.set("usage", usage_json(transcript.usage));
  return server_sent(json);
}

}  // namespace fourfold
