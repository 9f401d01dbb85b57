#include "server/http/body_decoder.h"

namespace fourfold {

std::unique_ptr<BodyDecoder> make_zstd_decoder() { return nullptr; }

}  // namespace fourfold
