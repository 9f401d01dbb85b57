#include "api/transcription.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Fields = std::vector<std::pair<std::string, std::string>>;

Result<TranscriptionRequest> parse(const Fields& fields) {
  std::vector<FormPart> form;
  for (const auto& [name, body] : fields)
    form.push_back({.name = name, .filename = "", .body = body});
  return parse_transcription(form);
}

const Fields kLeast = {{"model", "gemma"}, {"file", "RIFF"}};

Fields with(const std::string& name, const std::string& value) {
  Fields fields = kLeast;
  fields.emplace_back(name, value);
  return fields;
}

TEST(TranscriptionRequest, HasDefaults) {
  const auto request = parse(kLeast);
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->model, "gemma");
  EXPECT_EQ(request->file, "RIFF");
  EXPECT_EQ(request->options.temperature, 0.0f);
  EXPECT_EQ(request->format, TranscriptFormat::Json);
  EXPECT_FALSE(request->stream);
  EXPECT_TRUE(request->warnings.empty());
}

TEST(TranscriptionRequest, TakesEveryField) {
  Fields fields = kLeast;
  fields.insert(fields.end(), {{"language", "de"},
                               {"prompt", "Frau Özdemir"},
                               {"temperature", "0.5"},
                               {"response_format", "verbose_json"},
                               {"timestamp_granularities[]", "segment"},
                               {"timestamp_granularities[]", "segment"},
                               {"include[]", "logprobs"},
                               {"stream", "false"}});
  const auto request = parse(fields);
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->options.language, "de");
  EXPECT_EQ(request->options.prompt, "Frau Özdemir");
  EXPECT_EQ(request->options.temperature, 0.5f);
  EXPECT_EQ(request->format, TranscriptFormat::VerboseJson);
  EXPECT_THAT(request->warnings, ElementsAre("\"include[]\" is ignored"));
}

TEST(TranscriptionRequest, ErrorsNameTheField) {
  struct Row {
    Fields fields;
    std::string field, message;
  };
  Fields words_in_stream = with("response_format", "srt");
  words_in_stream.emplace_back("stream", "true");
  const Row rows[] = {
      {{{"model", "gemma"}}, "file", "file: missing, expected a sound file"},
      {{{"model", "gemma"}, {"file", ""}}, "file", "file: empty"},
      {{{"file", "RIFF"}}, "model", "model: missing"},
      {with("model", "again"), "model", "model: given twice"},
      {with("language", std::string(65, 'x')), "language", "65 bytes, the limit is 64"},
      {with("language", "\xff"), "language", "is no UTF-8"},
      {with("temperature", "warm"), "temperature", "\"warm\", expected a number from 0 to 2"},
      {with("temperature", "2.5"), "temperature", "expected a number from 0 to 2"},
      {with("temperature", "nan"), "temperature", "expected a number from 0 to 2"},
      {with("response_format", "xml"), "response_format", "\"xml\", expected json, text, srt"},
      {with("stream", "yes"), "stream", "\"yes\", expected true or false"},
      {with("timestamp_granularities[]", "word"), "timestamp_granularities[]", "no times of words"},
      {with("timestamp_granularities[]", "day"), "timestamp_granularities[]", "expected segment"},
      {words_in_stream, "stream", "unless response_format is json or text"},
  };
  for (const auto& row : rows) {
    const auto request = parse(row.fields);
    ASSERT_FALSE(request.ok()) << row.message;
    EXPECT_EQ(request.error().code, Code::InvalidArgument);
    EXPECT_THAT(request.error().message, HasSubstr(row.message));
    ASSERT_TRUE(request.error().detail) << row.message;
    EXPECT_EQ(request.error().detail->field, row.field);
  }
}

Transcript transcript() {
  return {.text = "One two",
          .segments = {{.start_s = 0.0, .end_s = 25.0, .text = "One"},
                       {.start_s = 25.0, .end_s = 40.0, .text = "two"}},
          .duration_s = 40.0,
          .usage = {.prompt_tokens = 120, .audio_tokens = 100, .answer_tokens = 5},
          .notes = {}};
}

constexpr const char* kUsage =
    R"("usage":{"type":"tokens","input_tokens":120,"output_tokens":5,"total_tokens":125,)"
    R"("input_token_details":{"audio_tokens":100,"text_tokens":20}})";

TEST(TranscriptionReply, HasTheFormThatWasAskedFor) {
  TranscriptionRequest request;
  const auto reply = [&](TranscriptFormat format) {
    request.format = format;
    return transcription_reply(transcript(), request);
  };
  EXPECT_EQ(reply(TranscriptFormat::Json).body,
            std::string(R"({"text":"One two",)") + kUsage + "}");
  EXPECT_EQ(reply(TranscriptFormat::Text).body, "One two\n");
  EXPECT_EQ(reply(TranscriptFormat::Text).type, "text/plain; charset=utf-8");
  EXPECT_THAT(reply(TranscriptFormat::Srt).body,
              HasSubstr("2\n00:00:25,000 --> 00:00:40,000\ntwo"));
  EXPECT_THAT(reply(TranscriptFormat::Vtt).body, testing::StartsWith("WEBVTT\n\n"));
  const auto verbose = reply(TranscriptFormat::VerboseJson).body;
  EXPECT_THAT(verbose, HasSubstr(R"("duration":40.000,"text":"One two","segments":[)"));
  EXPECT_THAT(verbose, HasSubstr(kUsage));
}

TEST(TranscriptionStream, HasDeltasAndAnEnd) {
  EXPECT_EQ(transcript_delta(" one\n\"two\""),
            "data: {\"type\":\"transcript.text.delta\",\"delta\":\" one\\n\\\"two\\\"\"}\n\n");
  EXPECT_EQ(transcript_done(transcript()),
            std::string("data: {\"type\":\"transcript.text.done\",\"text\":\"One two\",") + kUsage +
                "}\n\n");
}

}  // namespace
}  // namespace fourfold
