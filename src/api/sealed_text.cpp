#include "api/sealed_text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "base/base64.h"
#include "base/check.h"
#include "base/new_file.h"
#include "base/sha256.h"

namespace fourfold {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kHeadBytes = 1 + kTagBytes;
constexpr unsigned long long kMostTextBytes = 64ull << 20;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// HMAC-SHA-256 (RFC 2104), cut to the tag's length.
std::string tag_of(const Sealer::Key& key, std::string_view message) {
  const auto hash = [&](char pad, std::string_view text) {
    std::string block(64, pad);
    for (std::size_t i = 0; i < key.size(); ++i) {
      block[i] = static_cast<char>(static_cast<unsigned char>(block[i]) ^ key[i]);
    }
    Sha256 sha;
    sha.update(bytes_of(block));
    sha.update(bytes_of(text));
    const auto digest = sha.finish();
    return std::string(digest.begin(), digest.end());
  };
  return hash(0x5c, hash(0x36, message)).substr(0, kTagBytes);
}

// Takes as long wherever they differ.
bool is_same(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference |= static_cast<unsigned>(static_cast<unsigned char>(a[i] ^ b[i]));
  }
  return difference == 0;
}

Sealer::Key random_key() {
  Sealer::Key key;
  CHECK(::getentropy(key.data(), key.size()) == 0);
  return key;
}

Error failed(const std::string& path, std::string_view what) {
  return {Code::Unknown, fmt::format("{}: {}: {}", path, what, std::strerror(errno))};
}

Result<Sealer::Key> read_key(const std::string& path, int fd) {
  Sealer::Key key;
  const auto n = ::read(fd, key.data(), key.size());
  char more = 0;
  const bool is_whole = n == static_cast<ssize_t>(key.size()) && ::read(fd, &more, 1) == 0;
  if (!is_whole) return data_loss("{}: expected a key of {} bytes", path, key.size());
  return key;
}

Result<Sealer::Key> make_key(const std::string& path, int fd) {
  const auto key = random_key();
  TRY_IN(path, write_all(fd, std::as_bytes(std::span(key))));
  if (::fsync(fd) != 0) return failed(path, "cannot be written");
  return key;
}

}  // namespace

Result<Sealer> Sealer::open(const std::string& key_file) {
  if (key_file.empty()) return Sealer(random_key());
  int fd = ::open(key_file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const bool is_new = fd >= 0;
  if (!is_new) fd = ::open(key_file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed(key_file, "cannot be opened");
  auto key = is_new ? make_key(key_file, fd) : read_key(key_file, fd);
  ::close(fd);
  return Sealer(TRY(std::move(key)));
}

std::optional<std::string> Sealer::seal(std::string_view text, std::size_t most_bytes) const {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  const std::size_t n =
      ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), /*level=*/3);
  if (ZSTD_isError(n)) return std::nullopt;
  packed.resize(n);
  const std::string versioned = kVersion + packed;
  std::string sealed = to_base64(kVersion + tag_of(key_, versioned) + packed);
  if (most_bytes != 0 && sealed.size() > most_bytes) return std::nullopt;
  return sealed;
}

std::optional<std::string> Sealer::open_sealed(std::string_view sealed) const {
  const auto bytes = from_base64(sealed);
  if (!bytes || bytes->size() < kHeadBytes || bytes->front() != kVersion) return std::nullopt;
  const std::string_view tag = std::string_view(*bytes).substr(1, kTagBytes);
  const std::string_view packed = std::string_view(*bytes).substr(kHeadBytes);
  if (!is_same(tag, tag_of(key_, kVersion + std::string(packed)))) return std::nullopt;
  const auto size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size > kMostTextBytes) return std::nullopt;  // also unknown
  std::string text(static_cast<std::size_t>(size), '\0');
  const std::size_t n = ZSTD_decompress(text.data(), text.size(), packed.data(), packed.size());
  if (ZSTD_isError(n) || n != text.size()) return std::nullopt;
  return text;
}

}  // namespace fourfold
