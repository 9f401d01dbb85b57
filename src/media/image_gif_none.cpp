// In place of image_gif.cpp where its library is missing.
#include "media/image_reader.h"

namespace fourfold {
namespace {

Error missing() { return missing_image_library("gif", "libgif-dev"); }

Result<ImageHeader> read_header(ImageBytes, const PictureLimits&) { return missing(); }
Result<Picture> decode(ImageBytes, const PictureLimits&) { return missing(); }

}  // namespace

const ImageReader kGifReader = {.read_header = read_header, .decode = decode};

}  // namespace fourfold
