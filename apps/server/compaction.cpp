#include "server/compaction.h"

#include <algorithm>
#include <utility>

namespace fourfold {
namespace {

constexpr std::int64_t kMostSummaryTokens = 4096;  // unless the client sets a limit
constexpr std::int64_t kLeastSummaryRoom = 512;

constexpr std::string_view kInstruction =
    "Summarise this conversation, so that you can go on with it when only the summary and the "
    "messages of the user are left. Say what was asked for, what was done and found, with which "
    "tools, what was decided and why, which files, names and figures matter, and what is still to "
    "be done. Write plain text and call no tools. Be short, but leave out nothing that is needed.";

constexpr std::string_view kLeftOut =
    "(The oldest part of the conversation did not fit and is not in this summary.)\n\n";

Error refused(std::string_view why) {
  return failed_precondition("compaction: {}", why).with({.reason = "compaction_failed"});
}

// The rules of an answer in plain text: the prompt, with its tools, stays as it was.
void allow_text_only(PreparedChat& prepared) {
  OutputMachineOptions& rules = prepared.rules;
  rules.may_call = false;
  rules.must_call = false;
  rules.may_think = false;
  rules.calls.reset();
  rules.answer.reset();
  rules.stop.clear();
  prepared.thinks = false;
}

ChatCall summary_call(const ResponsesRequest& request) {
  ChatCall chat;
  chat.model = request.model;
  chat.chat = request.chat;
  chat.chat.forget_oldest = false;
  chat.chat.sampling.n_logprobs = -1;
  auto& most = chat.chat.sampling.max_tokens;
  if (most < 0) most = kMostSummaryTokens;
  chat.chat.conversation.messages.push_back(Message::of(Role::User, std::string(kInstruction)));
  chat.warnings = request.warnings;
  chat.keep_alive = request.keep_alive;
  chat.priority = request.priority;
  chat.adjust = allow_text_only;
  return chat;
}

// Whether the prompt leaves room for a summary. An error that fewer items would not mend is one.
Result<bool> fits(Call& call, const ResponsesRequest& request) {
  const auto chat = summary_call(request);
  const auto least = std::min(kLeastSummaryRoom, chat.chat.sampling.max_tokens);
  const auto counted = count_prompt(call, chat);
  if (counted) return counted->prepared.max_tokens >= least;
  if (counted.error().reason() == "context_length_exceeded") return false;
  return counted.error();
}

// Leaves out the oldest until the rest fits, in steps that grow: each costs a look at the whole.
Result<bool> leave_out_what_does_not_fit(Call& call, ResponsesRequest& request,
                                         const ResponsesOptions& options) {
  bool left_out = false;
  for (int step = 1; !TRY(fits(call, request)); step *= 2) {
    ItemList list = request.list;
    for (int i = 0; i < step; ++i) {
      const bool dropped = drop_oldest(list);
      if (!dropped && i == 0) return refused("the newest message alone fills the context");
      if (!dropped) break;
    }
    TRY(use_items(request, std::move(list), options));
    left_out = true;
  }
  return left_out;
}

Result<std::string> checked_summary(const Candidate& candidate, const std::string& replaced) {
  const std::string text(trim(candidate.text()));
  if (candidate.end.finish != ChatFinish::Stop) return refused("the summary was cut by a limit");
  if (text.empty()) return refused("the summary is blank");
  if (text.size() >= replaced.size()) {
    return refused("the summary is no shorter than what it would replace");
  }
  return text;
}

}  // namespace

Result<Summary> summarize(Call& call, const ResponsesRequest& request,
                          const ResponsesOptions& options, AnswerListener& listener,
                          std::stop_token cancelled) {
  ResponsesRequest fitted = request;
  const bool left_out = TRY(leave_out_what_does_not_fit(call, fitted, options));
  ChatCall chat = summary_call(fitted);
  chat.cancelled = std::move(cancelled);
  const auto outcome = TRY(gather_answer(call, std::move(chat), listener));
  const Candidate& candidate = outcome.candidates.front();
  const auto replaced = replaced_text(request.list, options.common.help);
  const std::string text = TRY(checked_summary(candidate, replaced));
  const auto sealed =
      call.server().sealer.seal((left_out ? std::string(kLeftOut) : "") + text, /*most_bytes=*/0);
  if (!sealed) return internal_error("a summary that cannot be sealed");
  return Summary{.item = compaction_item(*sealed), .facts = outcome.facts, .end = candidate.end};
}

}  // namespace fourfold
