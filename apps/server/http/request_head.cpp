#include "server/http/request_head.h"

#include <algorithm>

#include "base/json_value.h"
#include "server/http/ascii.h"

namespace fourfold {
namespace {

std::ptrdiff_t count_headers(const RequestHead& head, std::string_view name) {
  return std::count_if(head.headers.begin(), head.headers.end(),
                       [&](const auto& header) { return header.first == name; });
}

void set_header(RequestHead& head, std::string_view name, std::string value) {
  std::erase_if(head.headers, [&](const auto& header) { return header.first == name; });
  head.headers.emplace_back(name, std::move(value));
}

void take_absolute_form(RequestHead& head) {
  const std::string_view target = head.target;
  const auto colon = target.find("://");
  if (colon == target.npos) return;
  const std::string scheme = ascii_lower(target.substr(0, colon));
  if (scheme != "http" && scheme != "https") return;
  const std::string_view rest = target.substr(colon + 3);
  const auto path = std::min(rest.find_first_of("/?#"), rest.size());
  set_header(head, "host", std::string(rest.substr(0, path)));
  std::string origin_form = rest.substr(path).starts_with('/') ? "" : "/";
  origin_form += rest.substr(path);
  head.target = std::move(origin_form);
}

}  // namespace

std::optional<HeadProblem> check_head(RequestHead& head, bool is_chunked) {
  // Two hosts are two opinions about who is meant; the rules of access must see one.
  if (count_headers(head, "host") > 1) return HeadProblem{400, "more than one Host header"};
  if (count_headers(head, "origin") > 1) return HeadProblem{400, "more than one Origin header"};
  if (count_headers(head, "transfer-encoding") > 0 &&
      (!is_chunked || !ascii_equal(head.header("transfer-encoding"), "chunked"))) {
    return HeadProblem{501, "Transfer-Encoding: only \"chunked\" is supported"};
  }
  const std::string_view expect = head.header("expect");
  if (!expect.empty() && !ascii_equal(expect, "100-continue")) {
    return HeadProblem{417, "Expect: only \"100-continue\" is supported"};
  }
  if (!head.target.starts_with('/')) take_absolute_form(head);
  return std::nullopt;
}

std::string broken_request_json(int status, std::string_view what) {
  auto error = JsonValue::object();
  error.set("message", JsonValue::of(std::string(what)));
  error.set("type", JsonValue::of(status < 500 ? "invalid_request_error" : "server_error"));
  error.set("code", JsonValue::number(std::to_string(status)));
  auto body = JsonValue::object();
  body.set("error", std::move(error));
  return to_json_text(body);
}

}  // namespace fourfold
