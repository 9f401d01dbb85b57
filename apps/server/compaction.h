// A conversation made shorter: what was answered, called and found becomes a summary, which the
// client carries in place of it (http-apis.md 3.7).
#pragma once

#include <stop_token>

#include "api/responses_request.h"
#include "server/call.h"
#include "server/chat_flow.h"

namespace fourfold {

struct Summary {
  JsonValue item;  // {"type": "compaction", …}
  AnswerFacts facts;
  CandidateEnd end;
};

// Asks the model for it, behind the unchanged prompt, so that what is computed of the conversation
// serves again. What does not fit is left out, oldest first, and the summary says so. "listener"
// hears when it starts. FailedPrecondition "compaction_failed" for a summary that is blank, cut or
// no shorter than what it replaces: the client would lose its history without a word.
Result<Summary> summarize(Call& call, const ResponsesRequest& request,
                          const ResponsesOptions& options, AnswerListener& listener,
                          std::stop_token cancelled);

}  // namespace fourfold
