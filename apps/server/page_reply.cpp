#include "server/page_reply.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/page.h"

namespace fourfold {
namespace {

// The page talks to its own server and to nobody else, whatever a model makes it show: no address
// outside, no script or style that is not one of its files, no frame around it.
constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

// The path of a file: what stands before "/assets/" is the prefix of a reverse proxy.
std::string_view file_path(std::string_view target) {
  target = target.substr(0, target.find_first_of("?#"));
  const auto assets = target.rfind("/assets/");
  return assets == std::string_view::npos ? "/" : target.substr(assets);
}

// True if a header with a comma-separated list holds this item and does not weigh it with 0.
bool accepts(std::string_view list, std::string_view item) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    auto entry = list.substr(0, comma);
    list = comma == std::string_view::npos ? "" : list.substr(comma + 1);
    entry = entry.substr(std::min(entry.find_first_not_of(" \t"), entry.size()));
    if (entry.substr(0, entry.find_first_of("; \t")) != item) continue;
    const auto weight = entry.find("q=");
    return weight == std::string_view::npos ||
           entry.find_first_of("123456789", weight) != std::string_view::npos;
  }
  return false;
}

}  // namespace

std::optional<Reply> page_reply(const RequestHead& head) {
  const PageFile* file = find_page_file(file_path(head.target));
  if (file == nullptr) return std::nullopt;

  const bool is_start = file->path == "/";
  Reply reply;
  reply.headers = {
      {"Content-Type", std::string(file->type)},
      {"ETag", std::string(file->etag)},
      // The names of assets change with their content.
      {"Cache-Control", is_start ? "no-cache" : "public, max-age=31536000, immutable"},
      {"Vary", is_start ? "Accept, Accept-Encoding" : "Accept-Encoding"},
      {"Content-Security-Policy", std::string(kContentSecurityPolicy)},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Permissions-Policy", "camera=(), geolocation=(), microphone=(self)"},
  };
  if (head.header("if-none-match") == file->etag) {
    reply.status = 304;
    return reply;
  }
  if (!file->gzip_bytes.empty() && accepts(head.header("accept-encoding"), "gzip")) {
    reply.headers.emplace_back("Content-Encoding", "gzip");
    reply.body = file->gzip_bytes;
  } else {
    reply.body = file->bytes;
  }
  return reply;
}

}  // namespace fourfold
