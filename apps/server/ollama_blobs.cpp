#include "server/ollama_blobs.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <system_error>

#include "base/mapped_file.h"
#include "base/new_file.h"
#include "base/sha256.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "sha256:";

bool is_hex_digest(std::string_view text) {
  return text.size() == 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// In pieces, whose pages need not stay in memory.
std::string digest_of(const MappedFile& file) {
  constexpr std::size_t kPiece = 16 << 20;
  Sha256 sha;
  const auto bytes = file.bytes();
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    const std::size_t size = std::min(kPiece, bytes.size() - at);
    sha.update(bytes.subspan(at, size));
    file.release_pages(at, size);
  }
  std::string hex;
  for (const auto byte : sha.finish()) hex += fmt::format("{:02x}", byte);
  return hex;
}

Status check_digest(std::string_view expected, std::string_view found) {
  if (expected.substr(kPrefix.size()) == found) return {};
  return invalid_argument("digest mismatch, expected \"{}\", got \"{}{}\"", expected, kPrefix,
                          found);
}

Status copy_file(const MappedFile& file, const std::string& path) {
  NewFile target = TRY(NewFile::create(path));
  TRY(target.write(file.bytes()));
  return target.commit();
}

}  // namespace

OllamaBlobs::OllamaBlobs(const std::string& folder)
    : folder_(folder.empty() ? "" : (fs::absolute(folder) / "blobs").string()) {}

Result<std::string> OllamaBlobs::path_of(std::string_view digest) const {
  const bool has_prefix = digest.starts_with(kPrefix) || digest.starts_with("sha256-");
  if (!has_prefix || !is_hex_digest(digest.substr(kPrefix.size()))) {
    return invalid_argument("digest: {} (expected sha256: and 64 hex digits)", printable(digest));
  }
  if (folder_.empty()) return failed_precondition("this server has no folder to keep blobs in");
  const auto hex = digest.substr(kPrefix.size());
  return (fs::path(folder_) / fmt::format("sha256-{}", hex)).string();
}

Result<std::optional<std::string>> OllamaBlobs::find(std::string_view digest) const {
  auto path = TRY(path_of(digest));
  std::error_code ignored;
  const bool is_stored = fs::is_regular_file(path, ignored);
  return is_stored ? std::optional(std::move(path)) : std::nullopt;
}

Status OllamaBlobs::take_file(std::string_view digest, const std::string& path) const {
  const auto target = TRY(path_of(digest));
  const auto file = TRY(MappedFile::open(path));
  TRY(check_digest(digest, digest_of(*file)));
  std::error_code error;
  fs::create_directories(folder_, error);
  fs::rename(path, target, error);
  return error ? copy_file(*file, target) : Status();  // of another file system
}

Status OllamaBlobs::put(std::string_view digest, std::string_view bytes) const {
  const auto target = TRY(path_of(digest));
  TRY(check_digest(digest, sha256_hex(bytes)));
  std::error_code error;
  fs::create_directories(folder_, error);
  NewFile file = TRY(NewFile::create(target));
  TRY(file.write(std::as_bytes(std::span(bytes))));
  return file.commit();
}

}  // namespace fourfold
