// Any head is judged without harm, and no stranger's page is let in.
//
// The bytes are lines: method, target, Origin, Host, Sec-Fetch-Site, Transfer-Encoding, Expect.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "server/access.h"
#include "server/http/request_head.h"
#include "server/router.h"

namespace {

std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text = end == text.npos ? std::string_view() : text.substr(end + 1);
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  RequestHead head;
  head.method = take_line(text);
  head.target = take_line(text);
  for (const auto* name : {"origin", "host", "sec-fetch-site", "transfer-encoding", "expect"}) {
    const auto value = take_line(text);
    if (!value.empty()) head.headers.emplace_back(name, value);
  }
  if (const auto problem = check_head(head, /*is_chunked=*/true)) {
    CHECK(problem->status >= 400 && !problem->what.empty());
    return 0;
  }
  const LocalMachine machine = {.name = "workbench.example.org", .addresses = {"203.0.113.7"}};
  const Status judged = judge_access(head, {}, machine);
  if (!judged.ok()) CHECK(judged.error().reason() == "origin_not_allowed");
  const bool is_probe = head.method == "GET" || head.method == "HEAD";  // some are exempt
  const std::string_view origin = head.header("origin");
  if (judged.ok() && !is_probe && !origin.empty()) {
    CHECK(origin.find("://") != origin.npos);
    CHECK(origin.find_first_of("@?#% \\") == origin.npos);
    CHECK(!origin.ends_with(".example") && !origin.ends_with(".com"));
  }
  (void)find_route(head.method, head.target, "");
  return 0;
}
