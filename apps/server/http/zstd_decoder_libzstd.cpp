#include <zstd.h>

#include <string>

#include "server/http/body_decoder.h"

namespace fourfold {
namespace {

// 8 MiB: what RFC 9659 allows this coding in HTTP.
constexpr int kMostWindowLog = 23;

struct FreeStream {
  void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
};

class ZstdDecoder final : public BodyDecoder {
 public:
  ZstdDecoder() : stream_(ZSTD_createDStream()) {
    if (stream_) ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, kMostWindowLog);
  }

  Status add(std::string_view encoded, const DecodedBytes& out) override {
    if (!stream_) return resource_exhausted("no memory to decode a zstd body");
    std::string piece(ZSTD_DStreamOutSize(), '\0');
    ZSTD_inBuffer in = {encoded.data(), encoded.size(), 0};
    // A full piece may leave decoded bytes inside the stream when its input is used up.
    bool may_hold_more = false;
    while (in.pos < in.size || may_hold_more) {
      ZSTD_outBuffer decoded = {piece.data(), piece.size(), 0};
      const std::size_t left = ZSTD_decompressStream(stream_.get(), &decoded, &in);
      if (ZSTD_isError(left)) return invalid_argument("the body is not valid zstd");
      is_within_frame_ = left != 0;
      may_hold_more = is_within_frame_ && decoded.pos == decoded.size;
      TRY(out(std::string_view(piece).substr(0, decoded.pos)));
    }
    return {};
  }

  Status finish() override {
    if (is_within_frame_) return invalid_argument("the zstd body ends too early");
    return {};
  }

 private:
  std::unique_ptr<ZSTD_DStream, FreeStream> stream_;
  bool is_within_frame_ = false;
};

}  // namespace

std::unique_ptr<BodyDecoder> make_zstd_decoder() { return std::make_unique<ZstdDecoder>(); }

}  // namespace fourfold
