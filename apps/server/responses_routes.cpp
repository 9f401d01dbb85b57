// OpenAI's Responses API over HTTP (http-apis.md 3.7).
#include <chrono>
#include <utility>

#include "api/json_number.h"
#include "api/responses_format.h"
#include "api/responses_request.h"
#include "base/utf8.h"
#include "server/call.h"
#include "server/chat_flow.h"
#include "server/compaction.h"
#include "server/openai_call.h"
#include "server/stored_responses.h"

namespace fourfold {
namespace {

// Responses are seen by the key that made them.
std::string owner_of(const Call& call) { return call.key() ? call.key()->name : ""; }

ResponsesOptions responses_options(Call& call) {
  StoredResponses& responses = call.server().responses;
  ResponsesOptions options;
  options.common = openai_options(call);
  options.find_response = [&responses, owner = owner_of(call)](const std::string& id) {
    return responses.find_items(owner, id);
  };
  options.find_item = [&responses, owner = owner_of(call)](const std::string& id) {
    return responses.find_item(owner, id);
  };
  return options;
}

ChatCall chat_call(const ResponsesRequest& request) {
  ChatCall chat;
  chat.model = request.model;
  chat.chat = request.chat;
  chat.stream = request.stream;
  chat.warnings = request.warnings;
  chat.keep_alive = request.keep_alive;
  chat.priority = request.priority;
  return chat;
}

// One request of POST /v1/responses on its way.
class Creation {
 public:
  Creation(Call& call, ResponsesRequest request, ResponsesOptions options)
      : call_(call),
        request_(std::move(request)),
        options_(std::move(options)),
        id_(new_response_id()),
        running_(call.server().responses, owner_of(call), id_) {}

  Status run() {
    if (request_.is_compaction) return request_.stream ? stream_summary() : reply_summary();
    std::vector<JsonValue> first_items;
    if (TRY(is_over_threshold())) {
      AnswerListener nobody;
      auto summary = summarize(call_, request_, options_, nobody, running_.cancelled());
      if (!summary) return refuse_summary(std::move(summary).error());
      ItemList list = request_.list;
      list.items.push_back(summary->item);
      TRY(use_items(request_, std::move(list), options_));
      // It is part of the output, and of the input only for this answer.
      request_.list.items.pop_back();
      first_items.push_back(std::move(summary->item));
    }
    ResponsesFormatter formatter(id_, format(std::move(first_items)));
    ChatCall chat = chat_call(request_);
    chat.cancelled = running_.cancelled();
    TRY(answer_chat(call_, std::move(chat), formatter));
    return {};
  }

 private:
  ResponsesFormat format(std::vector<JsonValue> first_items) {
    ResponsesFormat format;
    format.style = request_.style;
    format.sealer = &call_.server().sealer;
    format.request_id = call_.request_id();
    format.first_items = std::move(first_items);
    format.cancelled = running_.cancelled();
    if (request_.store) {
      // Before the client hears of it: its next request may come at once.
      format.on_complete = [this](const JsonValue& response) {
        call_.server().responses.put(owner_of(call_), response, request_.list.items);
      };
    }
    return format;
  }

  // A prompt that does not fit at all is over every threshold.
  Result<bool> is_over_threshold() {
    if (!request_.compact_threshold) return false;
    const auto counted = count_prompt(call_, chat_call(request_));
    if (counted) return counted->n_tokens > *request_.compact_threshold;
    if (counted.error().reason() == "context_length_exceeded") return true;
    return counted.error();
  }

  // A stream is told of a summary that failed in a stream.
  Status refuse_summary(Error error) {
    if (!request_.stream || error.reason() != "compaction_failed") return error;
    AnswerFacts facts;
    facts.requested_model = request_.model;
    facts.created_s = std::chrono::duration_cast<std::chrono::seconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
    ResponsesFormatter formatter(id_, format({}));
    call_.begin(formatter.stream_type());
    call_.write(formatter.begin(facts));
    call_.write(formatter.error(error));
    call_.end();
    return {};
  }

  // ---- the summary as the answer ----

  Status reply_summary() {
    AnswerListener nobody;
    auto summary = TRY(summarize(call_, request_, options_, nobody, running_.cancelled()));
    ResponsesFormatter formatter(id_, format({std::move(summary.item)}));
    Candidate nothing_else;
    nothing_else.end = summary.end;
    call_.reply(200, formatter.whole_type(), formatter.whole(summary.facts, {nothing_else}));
    return {};
  }

  class StreamStarter final : public AnswerListener {
   public:
    StreamStarter(Call& call, ResponsesFormatter& formatter) : call_(call), formatter_(formatter) {}
    void started(const AnswerFacts& facts) override {
      call_.begin(formatter_.stream_type());
      call_.write(formatter_.begin(facts));
    }
    bool silent() override { return call_.write(formatter_.keep_alive()); }

   private:
    Call& call_;
    ResponsesFormatter& formatter_;
  };

  Status stream_summary() {
    ResponsesFormatter formatter(id_, format({}));
    StreamStarter starter(call_, formatter);
    auto summary = summarize(call_, request_, options_, starter, running_.cancelled());
    if (!summary) {
      if (!call_.has_begun()) return refuse_summary(std::move(summary).error());
      call_.write(formatter.error(summary.error()));
    } else {
      call_.write(formatter.item(std::move(summary->item)));
      call_.write(formatter.end(0, summary->end, {}));
      call_.write(formatter.finish(summary->facts));
    }
    call_.end();
    return {};
  }

  Call& call_;
  ResponsesRequest request_;
  const ResponsesOptions options_;
  const std::string id_;
  StoredResponses::Running running_;
};

Result<ResponsesRequest> parse(Call& call, const ResponsesOptions& options) {
  const auto body = TRY(call.json_body());
  return parse_responses(body, options);
}

Status create(Call& call) {
  auto options = responses_options(call);
  auto request = TRY(parse(call, options));
  return Creation(call, std::move(request), std::move(options)).run();
}

Status count_input_tokens(Call& call) {
  const auto options = responses_options(call);
  const auto request = TRY(parse(call, options));
  const auto counted = TRY(count_prompt(call, chat_call(request)));
  call.reply(200, JsonValue::object({{"object", JsonValue::of("response.input_tokens")},
                                     {"input_tokens", json_number(counted.n_tokens)}}));
  return {};
}

Status compact(Call& call) {
  const auto options = responses_options(call);
  const auto request = TRY(parse(call, options));
  AnswerListener nobody;
  auto summary = TRY(summarize(call, request, options, nobody, {}));
  auto output = kept_items(request.list);
  output.push_back(std::move(summary.item));
  call.reply(200, JsonValue::object({{"id", JsonValue::of(new_response_id())},
                                     {"object", JsonValue::of("response.compaction")},
                                     {"created_at", json_number(summary.facts.created_s)},
                                     {"output", JsonValue::array(std::move(output))},
                                     {"usage", responses_usage(summary.facts, summary.end)}}));
  return {};
}

// ---- stored responses ----

Error unknown_response(const std::string& id) {
  return not_found("no response {} is stored here", printable(id));
}

Status get(Call& call) {
  const auto& id = call.parameter("id");
  const auto response = call.server().responses.find(owner_of(call), id);
  if (!response) return unknown_response(id);
  call.reply(200, *response);
  return {};
}

Status remove(Call& call) {
  const auto& id = call.parameter("id");
  if (!call.server().responses.remove(owner_of(call), id)) return unknown_response(id);
  call.reply(200, JsonValue::object({{"id", JsonValue::of(id)},
                                     {"object", JsonValue::of("response")},
                                     {"deleted", JsonValue::of(true)}}));
  return {};
}

// Of one that is complete, the response as it is.
Status cancel(Call& call) {
  const auto& id = call.parameter("id");
  StoredResponses& responses = call.server().responses;
  if (responses.cancel(owner_of(call), id)) {
    call.reply(200, JsonValue::object({{"id", JsonValue::of(id)},
                                       {"object", JsonValue::of("response")},
                                       {"status", JsonValue::of("cancelled")},
                                       {"error", JsonValue::null()},
                                       {"output", JsonValue::array()}}));
    return {};
  }
  return get(call);
}

}  // namespace

void add_responses_routes(Handlers& handlers) {
  handlers.add("openai.responses.create", create);
  handlers.add("openai.responses.input_tokens", count_input_tokens);
  handlers.add("openai.responses.compact", compact);
  handlers.add("openai.responses.get", get);
  handlers.add("openai.responses.delete", remove);
  handlers.add("openai.responses.cancel", cancel);
}

}  // namespace fourfold
