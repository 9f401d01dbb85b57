// What is decided of a request when only its head has come: may this page ask, is there such a
// route, is the key good for it, how large may the body be.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "server/access.h"
#include "server/http/exchange.h"
#include "server/keys.h"
#include "server/router.h"
#include "server/server_state.h"

namespace fourfold {

struct Admission {
  RouteMatch match;
  std::shared_ptr<const Key> key;  // null: none is needed
};

// The refusal of a request, and in which dialect it is written.
struct Refusal {
  Dialect dialect = Dialect::OpenAI;
  Reply reply;
  std::string error;  // for the log; empty: no failure (an answered preflight)
};

using HeadDecision = std::variant<Admission, Refusal>;

HeadDecision decide_head(const RequestHead& head, const ServerState& server,
                         const std::string& request_id);
// For a request that was let in.
BodyPlan plan_body(const RequestHead& head, const Admission& admission, const ServerState& server,
                   const std::string& request_id);

// The Content-Type of whole replies.
std::string_view json_type(Dialect dialect);
// The client's own x-request-id if it is one, else a new one.
std::string request_id_of(const RequestHead& head);
// The headers of every reply: request id, CORS.
HeaderList reply_headers(const RequestHead& head, const ServerSettings& settings,
                         const std::string& request_id);

}  // namespace fourfold
