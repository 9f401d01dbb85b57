#include "api/openai_media.h"

#include <utility>

#include "api/media.h"
#include "base/base64.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

Result<std::string> bytes_of_url(const Field& url) {
  const auto text = TRY(url.string());
  if (!is_data_url(text)) return fetching_is_off(url.path());
  auto data = parse_data_url(text);
  if (!data) return url.error(data.error().message);
  return std::move(data->bytes);
}

Result<std::string> bytes_of_data(const Field& data) {
  const auto text = TRY(data.string());
  if (is_data_url(text)) return bytes_of_url(data);
  auto bytes = from_base64(text);
  if (!bytes) return data.error(bytes.error().message);
  return bytes;
}

Result<SharedBytes> stored_bytes(const Field& id, const FileReader& read_file) {
  const auto name = TRY(id.string());
  if (!read_file) return id.error("no file of this id is stored here");
  return TRY_IN(id.path(), read_file(name));
}

// A file of a form that we do not know is one that this server does not support.
Result<Part> medium_of(SharedBytes bytes, const Field& where, Part::Kind kind) {
  auto part = make_media_part(std::move(bytes), where.path(), kind);
  if (part) return part;
  return std::move(part).error().with({.reason = "unsupported_value", .field = where.path()});
}

Result<Part> text_or_medium(SharedBytes bytes, const Field& where) {
  const std::string_view text = bytes.text();
  if (find_media_type(text)) return make_media_part(std::move(bytes), where.path());
  if (!is_utf8(text) || text.find('\0') != text.npos) {
    return where.error("neither text nor an image, audio or video file that we know");
  }
  return Part{.kind = Part::Kind::Text, .text = std::string(text)};
}

}  // namespace

Result<Part> media_from_url(const Field& url, Part::Kind kind) {
  return medium_of(TRY(bytes_of_url(url)), url, kind);
}

Result<Part> media_from_base64(const Field& data, Part::Kind kind) {
  return medium_of(TRY(bytes_of_data(data)), data, kind);
}

Result<Part> part_of_file(const Field& file, const FileReader& read_file) {
  const Field data = file["file_data"], id = file["file_id"], url = file["file_url"];
  if (!data.absent()) return text_or_medium(TRY(bytes_of_data(data)), data);
  if (!id.absent()) return text_or_medium(TRY(stored_bytes(id, read_file)), id);
  if (!url.absent()) return text_or_medium(TRY(bytes_of_url(url)), url);
  return file.error("expected file_data or file_id");
}

}  // namespace fourfold
