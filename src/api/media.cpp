#include "api/media.h"

#include "base/base64.h"
#include "base/letter_case.h"

namespace fourfold {
namespace {

using Kind = Part::Kind;

Error refused(std::string_view where, std::string_view what) {
  return invalid_argument("{}: {}", where, what).with({.reason = "", .field = std::string(where)});
}

}  // namespace

Kind kind_of_mime(std::string_view mime) {
  const auto lower = to_lower(mime);
  if (lower.starts_with("image/")) return Kind::Image;
  if (lower.starts_with("audio/")) return Kind::Audio;
  if (lower.starts_with("video/")) return Kind::Video;
  if (lower.starts_with("text/")) return Kind::Text;
  return Kind::Unknown;
}

Result<Part> media_part_of_base64(std::string_view base64, std::string where, Kind expected) {
  if (is_data_url(base64)) return media_part_of_url(base64, std::move(where), expected);
  auto bytes = from_base64(base64);
  if (!bytes) return refused(where, bytes.error().message);
  return make_media_part(std::move(bytes).value(), std::move(where), expected);
}

Result<Part> media_part_of_url(std::string_view url, std::string where, Kind expected) {
  if (!is_data_url(url)) return fetching_is_off(where);
  auto data = parse_data_url(url);
  if (!data) return refused(where, data.error().message);
  return make_media_part(std::move(data->bytes), std::move(where), expected);
}

Error fetching_is_off(std::string_view where) {
  return refused(where,
                 "URLs and paths are not fetched (expected a data: URL; serve --fetch-urls is "
                 "not supported yet)");
}

}  // namespace fourfold
