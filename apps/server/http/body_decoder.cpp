#include "server/http/body_decoder.h"

#include <string>

#include "server/http/ascii.h"

namespace fourfold {

Result<std::unique_ptr<BodyDecoder>> make_body_decoder(std::string_view coding) {
  const std::string name = ascii_lower(coding);
  if (name.empty() || name == "identity") return std::unique_ptr<BodyDecoder>();
  std::unique_ptr<BodyDecoder> decoder;
  if (name == "gzip" || name == "x-gzip") decoder = make_gzip_decoder();
  if (name == "zstd") decoder = make_zstd_decoder();
  if (!decoder) {
    return invalid_argument("Content-Encoding: \"{}\" is not supported (gzip, zstd)", coding);
  }
  return decoder;
}

}  // namespace fourfold
