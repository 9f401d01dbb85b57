#include "engine/media_part.h"

#include <string_view>
#include <utility>

#include "media/media_type.h"

namespace fourfold {
namespace {

using Kind = Part::Kind;

Kind kind_of(MediaKind kind) {
  switch (kind) {
    case MediaKind::Image: return Kind::Image;
    case MediaKind::Audio: return Kind::Audio;
    case MediaKind::Video: return Kind::Video;
  }
  return Kind::Unknown;
}

std::string_view expected_formats(Kind kind) {
  switch (kind) {
    case Kind::Image: return formats_of(MediaKind::Image);
    case Kind::Audio: return formats_of(MediaKind::Audio);
    case Kind::Video: return formats_of(MediaKind::Video);
    case Kind::Text:
    case Kind::Unknown: break;
  }
  return "an image, audio or video file";
}

Error refused(std::string_view where, std::string_view what) {
  return invalid_argument("{}: {}", where, what).with({.reason = "", .field = std::string(where)});
}

}  // namespace

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::Image: return "image";
    case Kind::Audio: return "audio";
    case Kind::Video: return "video";
    case Kind::Text:
    case Kind::Unknown: break;
  }
  return "medium";
}

Result<Part> make_media_part(SharedBytes bytes, std::string where, Kind expected) {
  const auto type = find_media_type(bytes.text());
  if (!type) {
    return refused(where, fmt::format("no {} that we know (expected {})", kind_name(expected),
                                      expected_formats(expected)));
  }
  const Kind found = kind_of(type->kind);
  // Ogg, WebM and MP4 hold sound alone, too.
  const bool may_hold_sound = expected == Kind::Audio && found == Kind::Video;
  const bool may_hold_film = expected == Kind::Video && type->mime == "image/gif";
  if (expected != Kind::Unknown && expected != found && !may_hold_sound && !may_hold_film) {
    return refused(where, fmt::format("the bytes are {} (expected {})", type->mime,
                                      expected_formats(expected)));
  }
  Part part;
  part.kind = may_hold_sound || may_hold_film ? expected : found;
  part.text = std::string(type->mime);
  part.bytes = std::move(bytes);
  part.where = std::move(where);
  return part;
}

}  // namespace fourfold
