// In place of image_webp.cpp where its library is missing.
#include "media/image_reader.h"

namespace fourfold {
namespace {

Error missing() { return missing_image_library("webp", "libwebp-dev"); }

Result<ImageHeader> read_header(ImageBytes, const PictureLimits&) { return missing(); }
Result<Picture> decode(ImageBytes, const PictureLimits&) { return missing(); }

}  // namespace

const ImageReader kWebpReader = {.read_header = read_header, .decode = decode};

}  // namespace fourfold
