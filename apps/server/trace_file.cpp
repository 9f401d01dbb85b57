#include "server/trace_file.h"

#include <span>

#include <sys/stat.h>
#include <zstd.h>

#include "base/mapped_file.h"
#include "base/new_file.h"

namespace fourfold {
namespace {

constexpr int kLevel = 3;
// Far above any answer; what claims to be more is no trace.
constexpr unsigned long long kMostBytes = 1ull << 30;

std::string compressed(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), kLevel));
  return out;
}

Result<std::string> decompressed(std::span<const std::byte> bytes) {
  const auto size = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > kMostBytes) {
    return data_loss("no trace (expected a zstd frame of known size)");
  }
  std::string out(size, '\0');
  const auto written = ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(written) || written != size) return data_loss("damaged: cannot be unpacked");
  return out;
}

}  // namespace

Status write_trace_file(const std::string& path, const Trace& trace) {
  const std::string bytes = compressed(trace_text(trace));
  NewFile file = TRY(NewFile::create(path));
  if (fchmod(file.fd(), S_IRUSR | S_IWUSR) != 0) {
    return failed_precondition("{}: cannot be made private", path);
  }
  TRY(file.write(std::as_bytes(std::span(bytes))));
  return file.commit();
}

Result<Trace> read_trace_file(const std::string& path) {
  const auto file = TRY(MappedFile::open(path));
  const auto text = TRY_IN(path, decompressed(file->bytes()));
  return TRY_IN(path, parse_trace(text));
}

}  // namespace fourfold
