#include "api/media.h"

#include <array>
#include <charconv>

#include "base/base64.h"
#include "base/letter_case.h"

namespace fourfold {
namespace {

using Kind = Part::Kind;
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
    {"hevc"sv, {Kind::Image, "image/heic"}},      {"mif1"sv, {Kind::Image, "image/heic"}},
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

std::string_view formats_of(Kind kind) {
  switch (kind) {
    case Kind::Image: return "png, jpeg, webp, gif, bmp, heic or avif";
    case Kind::Audio: return "wav, mp3, flac, ogg or m4a";
    case Kind::Video: return "mp4, mov, webm, mkv or avi";
    case Kind::Text:
    case Kind::Unknown: break;
  }
  return "an image, audio or video file";
}

Error refused(std::string_view where, std::string_view what) {
  return invalid_argument("{}: {}", where, what).with({.reason = "", .field = std::string(where)});
}

Result<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += text[at];
      continue;
    }
    unsigned value = 0;
    const char* begin = text.data() + at + 1;
    const bool is_whole =
        at + 2 < text.size() && std::from_chars(begin, begin + 2, value, 16).ptr == begin + 2;
    if (!is_whole) return invalid_argument("expected two hexadecimal digits after %");
    out += static_cast<char>(value);
    at += 2;
  }
  return out;
}

}  // namespace

std::optional<MediaType> find_media_type(std::string_view bytes) {
  if (const auto type = find_signature(kSignatures, bytes)) return type;
  if (bytes.size() >= 12 && bytes.starts_with("RIFF")) {
    return find_signature(kRiffForms, bytes.substr(8));
  }
  if (bytes.size() >= 12 && bytes.substr(4, 4) == "ftyp") {
    const auto type = find_signature(kBrands, bytes.substr(8));
    return type ? type : MediaType{Kind::Video, "video/mp4"};
  }
  if (is_bmp(bytes)) return MediaType{Kind::Image, "image/bmp"};
  if (is_mp3_frame(bytes)) return MediaType{Kind::Audio, "audio/mpeg"};
  return std::nullopt;
}

Kind kind_of_mime(std::string_view mime) {
  const auto lower = to_lower(mime);
  if (lower.starts_with("image/")) return Kind::Image;
  if (lower.starts_with("audio/")) return Kind::Audio;
  if (lower.starts_with("video/")) return Kind::Video;
  if (lower.starts_with("text/")) return Kind::Text;
  return Kind::Unknown;
}

bool is_data_url(std::string_view url) { return to_lower(url.substr(0, 5)) == "data:"; }

Result<DataUrl> parse_data_url(std::string_view url) {
  if (!is_data_url(url)) return invalid_argument("expected a data: URL");
  const auto comma = url.find(',');
  if (comma == url.npos) return invalid_argument("expected a comma after the type of a data: URL");
  std::string head = to_lower(url.substr(5, comma - 5));
  const std::string_view content = url.substr(comma + 1);
  const bool is_base64 = head.ends_with(";base64") || head == "base64";
  DataUrl out;
  out.mime = head.substr(0, head.find(';'));
  const bool may_be_escaped = is_base64 && content.find('%') != content.npos;
  const std::string plain =
      is_base64 && !may_be_escaped ? std::string(content) : TRY(percent_decoded(content));
  out.bytes = is_base64 ? TRY(from_base64(plain)) : plain;
  return out;
}

Result<Part> make_media_part(std::string bytes, std::string where, Kind expected) {
  const auto type = find_media_type(bytes);
  if (!type) {
    return refused(where, fmt::format("no {} that we know (expected {})", kind_name(expected),
                                      formats_of(expected)));
  }
  // Ogg, WebM and MP4 hold sound alone, too.
  const bool may_hold_sound = expected == Kind::Audio && type->kind == Kind::Video;
  const bool may_hold_film = expected == Kind::Video && type->mime == "image/gif";
  if (expected != Kind::Unknown && expected != type->kind && !may_hold_sound && !may_hold_film) {
    return refused(where,
                   fmt::format("the bytes are {} (expected {})", type->mime, formats_of(expected)));
  }
  Part part;
  part.kind = may_hold_sound || may_hold_film ? expected : type->kind;
  part.text = std::string(type->mime);
  part.bytes = std::move(bytes);
  part.where = std::move(where);
  return part;
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
