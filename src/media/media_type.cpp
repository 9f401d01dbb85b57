#include "media/media_type.h"

#include <algorithm>
#include <cstddef>

namespace fourfold {
namespace {

using Kind = MediaKind;
using namespace std::string_view_literals;

struct Signature {
  std::string_view bytes;
  MediaType type;
};

constexpr Signature kSignatures[] = {
    {"\x89PNG\r\n\x1a\n"sv, {Kind::Image, "image/png"}},
    {"\xff\xd8\xff"sv, {Kind::Image, "image/jpeg"}},
    {"GIF87a"sv, {Kind::Image, "image/gif"}},
    {"GIF89a"sv, {Kind::Image, "image/gif"}},
    {"fLaC"sv, {Kind::Audio, "audio/flac"}},
    {"OggS"sv, {Kind::Audio, "audio/ogg"}},
    {"ID3"sv, {Kind::Audio, "audio/mpeg"}},
    {"\x1a\x45\xdf\xa3"sv, {Kind::Video, "video/webm"}},
};

// "RIFF", a size of four bytes, then the form.
constexpr Signature kRiffForms[] = {
    {"WAVE"sv, {Kind::Audio, "audio/wav"}},
    {"WEBP"sv, {Kind::Image, "image/webp"}},
    {"AVI "sv, {Kind::Video, "video/x-msvideo"}},
};

// A size of four bytes, "ftyp", then the brand (ISO/IEC 14496-12).
constexpr Signature kBrands[] = {
    {"avif"sv, {Kind::Image, "image/avif"}},      {"avis"sv, {Kind::Image, "image/avif"}},
    {"heic"sv, {Kind::Image, "image/heic"}},      {"heix"sv, {Kind::Image, "image/heic"}},
    {"heim"sv, {Kind::Image, "image/heic"}},      {"heis"sv, {Kind::Image, "image/heic"}},
    {"hevc"sv, {Kind::Image, "image/heic"}},      {"hevx"sv, {Kind::Image, "image/heic"}},
    {"M4A "sv, {Kind::Audio, "audio/mp4"}},       {"M4B "sv, {Kind::Audio, "audio/mp4"}},
    {"qt  "sv, {Kind::Video, "video/quicktime"}},
};

template <std::size_t N>
std::optional<MediaType> find_signature(const Signature (&signatures)[N], std::string_view bytes) {
  for (const auto& signature : signatures) {
    if (bytes.starts_with(signature.bytes)) return signature.type;
  }
  return std::nullopt;
}

// Files of still pictures may name only their structure first, and the coding in the list of
// further brands.
MediaType type_of_structural_brand(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const std::size_t box_size = std::size_t{byte(0)} << 24 | std::size_t{byte(1)} << 16 |
                               std::size_t{byte(2)} << 8 | std::size_t{byte(3)};
  const std::size_t end = std::min(box_size, bytes.size());
  for (std::size_t at = 16; at + 4 <= end; at += 4) {
    const auto type = find_signature(kBrands, bytes.substr(at, 4));
    if (type && type->kind == Kind::Image) return *type;
  }
  return {Kind::Image, "image/heic"};
}

std::optional<MediaType> type_of_brand(std::string_view bytes) {
  const std::string_view brand = bytes.substr(8, 4);
  if (brand == "mif1" || brand == "msf1") return type_of_structural_brand(bytes);
  if (const auto type = find_signature(kBrands, brand)) return type;
  return MediaType{Kind::Video, "video/mp4"};
}

// The header of a layer III frame: eleven set bits, a known version, a bit rate and a sample rate.
bool is_mp3_frame(std::string_view bytes) {
  if (bytes.size() < 4) return false;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const bool is_sync = byte(0) == 0xFF && (byte(1) & 0xE0) == 0xE0;
  const bool is_layer_3 = (byte(1) & 0x18) != 0x08 && (byte(1) & 0x06) == 0x02;
  return is_sync && is_layer_3 && (byte(2) & 0xF0) != 0xF0 && (byte(2) & 0x0C) != 0x0C;
}

bool is_bmp(std::string_view bytes) {
  // "BM", four bytes of size, then four reserved ones that are zero.
  return bytes.size() >= 26 && bytes.starts_with("BM") && bytes.substr(6, 4) == "\0\0\0\0"sv;
}

}  // namespace

std::optional<MediaType> find_media_type(std::string_view bytes) {
  if (const auto type = find_signature(kSignatures, bytes)) return type;
  if (bytes.size() >= 12 && bytes.starts_with("RIFF")) {
    return find_signature(kRiffForms, bytes.substr(8));
  }
  if (bytes.size() >= 12 && bytes.substr(4, 4) == "ftyp") return type_of_brand(bytes);
  if (is_bmp(bytes)) return MediaType{Kind::Image, "image/bmp"};
  if (is_mp3_frame(bytes)) return MediaType{Kind::Audio, "audio/mpeg"};
  return std::nullopt;
}

std::string_view formats_of(MediaKind kind) {
  switch (kind) {
    case Kind::Image: return "png, jpeg, webp, gif, bmp, heic or avif";
    case Kind::Audio: return "wav, mp3, flac, ogg or m4a";
    case Kind::Video: return "mp4, mov, webm, mkv or avi";
  }
  return "";
}

}  // namespace fourfold
