// What a file is, told by its first bytes: names and labels are not asked.
#pragma once

#include <optional>
#include <string_view>

namespace fourfold {

enum class MediaKind { Image, Audio, Video };

struct MediaType {
  MediaKind kind = MediaKind::Image;
  std::string_view mime;  // "image/png"
};

// png, jpeg, webp, gif, bmp, heic, avif; wav, mp3, flac, ogg, m4a; mp4, mov, webm, mkv, avi.
// nullopt for anything else. The first kilobyte is enough.
std::optional<MediaType> find_media_type(std::string_view bytes);

// "png, jpeg, …", for messages.
std::string_view formats_of(MediaKind kind);

}  // namespace fourfold
