// Content-Encoding of request bodies: gzip and zstd, undone piece by piece.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "base/result.h"

namespace fourfold {

// Takes decoded bytes; its error ends the decoding.
using DecodedBytes = std::function<Status(std::string_view bytes)>;

class BodyDecoder {
 public:
  virtual ~BodyDecoder() = default;
  // InvalidArgument where the bytes are not of that coding, else the error of `out`.
  virtual Status add(std::string_view encoded, const DecodedBytes& out) = 0;
  // InvalidArgument if the body ended too early.
  virtual Status finish() = 0;
};

// `coding` is the value of the header; "" and "identity" give null. InvalidArgument for others.
Result<std::unique_ptr<BodyDecoder>> make_body_decoder(std::string_view coding);

// Null where the library is not built in.
std::unique_ptr<BodyDecoder> make_gzip_decoder();
std::unique_ptr<BodyDecoder> make_zstd_decoder();

}  // namespace fourfold
