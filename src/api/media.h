// Pictures, sounds and films in requests: told apart by their bytes, whatever their label says.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "chat/conversation.h"

namespace fourfold {

struct MediaType {
  Part::Kind kind = Part::Kind::Unknown;
  std::string_view mime;  // "image/png"
};

// png, jpeg, webp, gif, bmp, heic, avif; wav, mp3, flac, ogg, m4a; mp4, mov, webm, mkv, avi.
// nullopt for anything else.
std::optional<MediaType> find_media_type(std::string_view bytes);

// The kind that a label such as "image/*" or "audio/wav" promises; Unknown for others.
Part::Kind kind_of_mime(std::string_view mime);

struct DataUrl {
  std::string mime;  // in lower case, without parameters; empty if there is none
  std::string bytes;
};

bool is_data_url(std::string_view url);
// data:[mime][;k=v]*[;base64],…
Result<DataUrl> parse_data_url(std::string_view url);

// A part of what the bytes are. `where` is its path in the request. InvalidArgument if they are no
// medium; any kind will do if `expected` is Unknown.
Result<Part> make_media_part(std::string bytes, std::string where,
                             Part::Kind expected = Part::Kind::Unknown);
// The same of base64 or of a data URL.
Result<Part> media_part_of_base64(std::string_view base64, std::string where,
                                  Part::Kind expected = Part::Kind::Unknown);
// The same of a URL: data URLs only, others are refused without looking at them.
Result<Part> media_part_of_url(std::string_view url, std::string where,
                               Part::Kind expected = Part::Kind::Unknown);

// For a URL or path that would have to be fetched.
Error fetching_is_off(std::string_view where);

}  // namespace fourfold
