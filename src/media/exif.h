// The one EXIF tag that changes a picture: how it is to be turned.
#pragma once

#include <cstddef>
#include <span>

namespace fourfold {

// The value of Orientation, 1 to 8; 1 if there is none or if the data is damaged. With or without
// the "Exif\0\0" that JPEG files put in front.
int read_exif_orientation(std::span<const std::byte> exif);

}  // namespace fourfold
