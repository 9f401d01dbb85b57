#include "server/transcriptions.h"

#include <memory>
#include <span>
#include <utility>

#include "api/multipart.h"
#include "api/transcription.h"
#include "base/mapped_file.h"
#include "server/chat_flow.h"

namespace fourfold {
namespace {

// The form, in memory or in the file that it was put into.
class FormBytes {
 public:
  static Result<FormBytes> of(const Request& request) {
    FormBytes form;
    form.text_ = request.body;
    if (!request.body_file.empty()) {
      form.file_ = TRY(MappedFile::open(request.body_file));
      const auto bytes = form.file_->bytes();
      form.text_ = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    return form;
  }
  std::string_view text() const { return text_; }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::string_view text_;  // of file_, or of the request
};

// Hears the answer about one window.
class WindowListener final : public AnswerListener {
 public:
  WindowListener(const std::function<bool(std::string_view)>& on_text, WindowAnswer& answer)
      : on_text_(on_text), answer_(answer) {}

  bool said(const ChatDelta& delta, const CandidateEnd* end) override {
    if (end) {
      answer_.finish = end->finish;
      answer_.usage.answer_tokens = end->usage.total();
      return true;
    }
    if (delta.event.type != ChatEvent::Type::Text) return true;
    answer_.text += delta.event.text;
    return on_text_(delta.event.text);
  }
  bool silent() override { return on_text_(""); }

 private:
  const std::function<bool(std::string_view)>& on_text_;
  WindowAnswer& answer_;
};

// Every window is a request of its own: it waits in the queue, has its trace, can be cancelled.
AnswerWindow answer_by_server(Call& call, const std::string& model) {
  return
      [&call, model](ChatRequest request,
                     const std::function<bool(std::string_view)>& on_text) -> Result<WindowAnswer> {
        ChatCall chat;
        chat.model = model;
        chat.chat = std::move(request);
        chat.adjust = limit_loops;
        WindowAnswer answer;
        WindowListener listener(on_text, answer);
        const auto outcome = TRY(gather_answer(call, std::move(chat), listener));
        answer.usage.prompt_tokens = outcome.facts.prompt_tokens;
        answer.usage.audio_tokens = outcome.facts.prompt_media.audio;
        return answer;
      };
}

// Writes a stream, which begins with the first text: what is wrong before that is a plain error.
class StreamWriter final : public TranscriptListener {
 public:
  explicit StreamWriter(Call& call) : call_(call) {}

  bool said(std::string_view text) override {
    if (!text.empty()) {
      begin();
      return call_.write(transcript_delta(text));
    }
    return !call_.has_begun() || call_.write(": \n\n");
  }
  bool segment(const TranscriptSegment&) override { return !call_.gone().stop_requested(); }
  void begin() {
    if (!call_.has_begun()) call_.begin("text/event-stream");
  }

 private:
  Call& call_;
};

class QuietListener final : public TranscriptListener {
 public:
  explicit QuietListener(const Call& call) : call_(call) {}
  bool said(std::string_view) override { return !call_.gone().stop_requested(); }
  bool segment(const TranscriptSegment&) override { return !call_.gone().stop_requested(); }

 private:
  const Call& call_;
};

// "file: what", whatever part of the media code says so.
Error about_file(Error error) {
  const bool is_about_bytes = error.code == Code::InvalidArgument ||
                              error.code == Code::ResourceExhausted ||
                              error.code == Code::Unimplemented;
  if (!is_about_bytes || error.detail) return error;
  return std::move(error).in("file").with({.reason = "", .field = "file"});
}

Status stream_transcript(Call& call, const TranscriptionRequest& request,
                         std::span<const std::byte> file) {
  StreamWriter writer(call);
  const auto transcript =
      transcribe(file, request.options, answer_by_server(call, request.model), writer);
  if (!transcript.ok() && !call.has_begun()) return about_file(transcript.error());
  writer.begin();
  call.write(
      transcript.ok()
          ? transcript_done(*transcript)
          : "data: " + error_reply(Dialect::OpenAI, transcript.error(), call.request_id()).body +
                "\n\n");
  call.end();
  return {};
}

}  // namespace

Status answer_transcription(Call& call) {
  const auto form = TRY(FormBytes::of(call.request()));
  const auto boundary = TRY(read_boundary(call.request().head.header("content-type")));
  const auto parts = TRY(parse_multipart(form.text(), boundary));
  const auto request = TRY(parse_transcription(parts));
  for (const auto& warning : request.warnings) call.warn(warning);
  if (!call.server().models.find(request.model)) return model_not_found(request.model);

  const auto file = std::as_bytes(std::span(request.file));
  if (request.stream) return stream_transcript(call, request, file);
  QuietListener listener(call);
  const auto transcript =
      transcribe(file, request.options, answer_by_server(call, request.model), listener);
  if (!transcript.ok()) return about_file(transcript.error());
  for (const auto& note : transcript->notes) call.warn(note);
  auto reply = transcription_reply(*transcript, request);
  call.reply(200, reply.type, std::move(reply.body));
  return {};
}

}  // namespace fourfold
