#include <zlib.h>

#include <algorithm>
#include <limits>
#include <string>

#include "server/http/body_decoder.h"

namespace fourfold {
namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr int kGzipOnly = 16 + MAX_WBITS;

class GzipDecoder final : public BodyDecoder {
 public:
  GzipDecoder() { is_ready_ = inflateInit2(&stream_, kGzipOnly) == Z_OK; }
  ~GzipDecoder() override { inflateEnd(&stream_); }
  GzipDecoder(const GzipDecoder&) = delete;
  GzipDecoder& operator=(const GzipDecoder&) = delete;

  Status add(std::string_view encoded, const DecodedBytes& out) override {
    if (!is_ready_) return resource_exhausted("no memory to decode a gzip body");
    std::string piece(kPieceBytes, '\0');
    while (!encoded.empty()) {
      const std::string_view slice = encoded.substr(0, std::numeric_limits<uInt>::max());
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(slice.data()));
      stream_.avail_in = static_cast<uInt>(slice.size());
      encoded.remove_prefix(slice.size());
      TRY(inflate_slice(piece, out));
    }
    return {};
  }

  Status finish() override {
    if (is_within_member_) return invalid_argument("the gzip body ends too early");
    return {};
  }

 private:
  Status inflate_slice(std::string& piece, const DecodedBytes& out) {
    // A full piece may leave decoded bytes inside zlib when its input is used up.
    bool may_hold_more = false;
    while (stream_.avail_in > 0 || may_hold_more) {
      stream_.next_out = reinterpret_cast<Bytef*>(piece.data());
      stream_.avail_out = static_cast<uInt>(piece.size());
      const int status = inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_BUF_ERROR) return {};  // more input is needed
      if (status != Z_OK && status != Z_STREAM_END) {
        return invalid_argument("the body is not valid gzip");
      }
      is_within_member_ = status != Z_STREAM_END;
      may_hold_more = is_within_member_ && stream_.avail_out == 0;
      TRY(out(std::string_view(piece).substr(0, piece.size() - stream_.avail_out)));
      // Several members may follow each other (RFC 1952, 2.2).
      if (!is_within_member_) inflateReset(&stream_);
    }
    return {};
  }

  z_stream stream_ = {};
  bool is_ready_ = false;
  bool is_within_member_ = false;
};

}  // namespace

std::unique_ptr<BodyDecoder> make_gzip_decoder() { return std::make_unique<GzipDecoder>(); }

}  // namespace fourfold
