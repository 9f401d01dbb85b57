#include "server/page_routes.h"

#include <string>
#include <utility>

#include "server/page_reply.h"

namespace fourfold {

Status send_page(Call& call) {
  auto reply = page_reply(call.request().head);
  if (!reply) return not_found("the page has no such file");
  std::string type;
  std::erase_if(reply->headers, [&type](auto& header) {
    if (header.first != "Content-Type") return false;
    type = std::move(header.second);
    return true;
  });
  call.reply(reply->status, type, std::move(reply->body), std::move(reply->headers));
  return {};
}

void add_page_routes(Handlers& handlers) { handlers.add("page", send_page); }

}  // namespace fourfold
