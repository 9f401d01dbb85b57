// GIF: the first frame on its logical screen. The blocks are walked by us, giflib unpacks the
// pixels.
#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "media/byte_order.h"
#include "media/image_reader.h"

namespace fourfold {
namespace {

Error damaged(std::string_view what) { return damaged_image("gif", what); }

// ---- the blocks ----

struct GifRect {
  int left = 0, top = 0, width = 0, height = 0;
};

struct GifBlocks {
  PictureSize screen;
  GifRect first;  // the first frame on the screen
  int n_frames = 0;
};

class BlockWalker {
 public:
  explicit BlockWalker(ImageBytes file) : file_(file) {}

  Result<GifBlocks> walk() {
    TRY(need(13));
    GifBlocks blocks;
    blocks.screen = {.width = read_u16_le(file_, 6), .height = read_u16_le(file_, 8)};
    const std::uint32_t flags = byte_at(file_, 10);
    at_ = 13;
    TRY(skip_colours(flags));
    // A file may end without its trailer, but not inside of a block.
    while (at_ < file_.size()) {
      const std::uint32_t kind = byte_at(file_, at_++);
      if (kind == kTrailer) break;
      if (kind == kImage) {
        TRY(walk_image(blocks));
      } else if (kind == kExtension) {
        TRY(need(1));
        ++at_;
        TRY(skip_sub_blocks());
      } else {
        return damaged(fmt::format("unknown block {:#04x} at byte {}", kind, at_ - 1));
      }
    }
    if (blocks.n_frames == 0) return damaged("it has no frame");
    return blocks;
  }

 private:
  static constexpr std::uint32_t kExtension = 0x21, kImage = 0x2c, kTrailer = 0x3b;

  Status need(std::size_t n) const {
    if (file_.size() - at_ < n) return damaged(fmt::format("cut short at byte {}", file_.size()));
    return {};
  }

  Status skip_colours(std::uint32_t flags) {
    if ((flags & 0x80) == 0) return {};
    const std::size_t n_bytes = std::size_t{3} << ((flags & 7) + 1);
    TRY(need(n_bytes));
    at_ += n_bytes;
    return {};
  }

  Status skip_sub_blocks() {
    for (;;) {
      TRY(need(1));
      const std::size_t n_bytes = byte_at(file_, at_++);
      if (n_bytes == 0) return {};
      TRY(need(n_bytes));
      at_ += n_bytes;
    }
  }

  Status walk_image(GifBlocks& blocks) {
    TRY(need(9));
    if (blocks.n_frames == 0) {
      blocks.first = {.left = read_u16_le(file_, at_),
                      .top = read_u16_le(file_, at_ + 2),
                      .width = read_u16_le(file_, at_ + 4),
                      .height = read_u16_le(file_, at_ + 6)};
    }
    const std::uint32_t flags = byte_at(file_, at_ + 8);
    at_ += 9;
    TRY(skip_colours(flags));
    TRY(need(1));
    ++at_;  // the first code size
    TRY(skip_sub_blocks());
    ++blocks.n_frames;
    return {};
  }

  ImageBytes file_;
  std::size_t at_ = 0;
};

// ---- the pixels ----

struct Reader {
  ImageBytes file;
  std::size_t at = 0;
};

int read(GifFileType* gif, GifByteType* out, int n) {
  auto& reader = *static_cast<Reader*>(gif->UserData);
  const std::size_t taken =
      std::min(static_cast<std::size_t>(std::max(n, 0)), reader.file.size() - reader.at);
  std::memcpy(out, reader.file.data() + reader.at, taken);
  reader.at += taken;
  return static_cast<int>(taken);
}

struct CloseGif {
  void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
};
using Gif = std::unique_ptr<GifFileType, CloseGif>;

Error giflib_error(int code) {
  const char* text = GifErrorString(code);
  return damaged(fmt::format("giflib: {}", text ? text : "unknown error"));
}

// Reads up to the first frame; the transparent colour, or −1.
Result<int> find_first_frame(GifFileType& gif) {
  int transparent = NO_TRANSPARENT_COLOR;
  for (;;) {
    GifRecordType kind;
    if (DGifGetRecordType(&gif, &kind) == GIF_ERROR) return giflib_error(gif.Error);
    if (kind == IMAGE_DESC_RECORD_TYPE) break;
    if (kind != EXTENSION_RECORD_TYPE) return damaged("it has no frame");
    int label = 0;
    GifByteType* data = nullptr;  // its first byte is the length
    if (DGifGetExtension(&gif, &label, &data) == GIF_ERROR) return giflib_error(gif.Error);
    GraphicsControlBlock control;
    if (label == GRAPHICS_EXT_FUNC_CODE && data &&
        DGifExtensionToGCB(data[0], data + 1, &control) == GIF_OK) {
      transparent = control.TransparentColor;
    }
    while (data) {
      if (DGifGetExtensionNext(&gif, &data) == GIF_ERROR) return giflib_error(gif.Error);
    }
  }
  if (DGifGetImageDesc(&gif) == GIF_ERROR) return giflib_error(gif.Error);
  return transparent;
}

// The rows in the order in which the file has them.
std::vector<int> row_order(int height, bool is_interlaced) {
  std::vector<int> rows;
  if (!is_interlaced) {
    for (int y = 0; y < height; ++y) rows.push_back(y);
    return rows;
  }
  constexpr int kStarts[] = {0, 4, 2, 1}, kSteps[] = {8, 8, 4, 2};
  for (int pass = 0; pass < 4; ++pass) {
    for (int y = kStarts[pass]; y < height; y += kSteps[pass]) rows.push_back(y);
  }
  return rows;
}

// The part of a row that lies on the picture. What is transparent stays as it is.
void draw_row(const std::vector<GifPixelType>& indices, const ColorMapObject& colours,
              int transparent, const GifRect& frame, int y, Picture& picture) {
  if (frame.top + y >= picture.height) return;
  const int n = std::min(frame.width, picture.width - frame.left);
  std::uint8_t* out = picture.rgb.data() + 3 * (static_cast<std::size_t>(frame.top + y) *
                                                    static_cast<std::size_t>(picture.width) +
                                                static_cast<std::size_t>(frame.left));
  for (int x = 0; x < n; ++x, out += 3) {
    const int index = indices[static_cast<std::size_t>(x)];
    if (index == transparent) continue;
    // A colour that the map lacks is black.
    const GifColorType colour =
        index < colours.ColorCount ? colours.Colors[index] : GifColorType{0, 0, 0};
    out[0] = colour.Red;
    out[1] = colour.Green;
    out[2] = colour.Blue;
  }
}

Result<ImageHeader> read_header(ImageBytes file, const PictureLimits&) {
  const auto blocks = TRY(BlockWalker(file).walk());
  return ImageHeader{.size = blocks.screen,
                     .n_frames = blocks.n_frames,
                     .memory_bytes = 3 * n_pixels(blocks.screen)};
}

Status check_frame(const GifBlocks& blocks, const PictureLimits& limits) {
  const GifRect& frame = blocks.first;
  if (frame.width == 0 || frame.height == 0) return damaged("its first frame has no pixels");
  if (frame.left >= blocks.screen.width || frame.top >= blocks.screen.height) {
    return damaged(fmt::format("its first frame at {}, {} lies outside of its screen of {} × {}",
                               frame.left, frame.top, blocks.screen.width, blocks.screen.height));
  }
  const std::uint64_t n = n_pixels({.width = frame.width, .height = frame.height});
  if (n > limits.pixels) {
    return resource_exhausted("gif picture: a frame of {} × {} = {} pixels (limit {})", frame.width,
                              frame.height, n, limits.pixels);
  }
  return {};
}

Result<Picture> decode(ImageBytes file, const PictureLimits& limits) {
  const auto blocks = TRY(BlockWalker(file).walk());
  TRY(check_frame(blocks, limits));
  Reader reader{.file = file};
  int error = 0;
  const Gif gif(DGifOpen(&reader, read, &error));
  if (!gif) return giflib_error(error);
  const int transparent = TRY(find_first_frame(*gif));
  const GifImageDesc& image = gif->Image;
  const ColorMapObject* colours = image.ColorMap ? image.ColorMap : gif->SColorMap;
  if (!colours) return damaged("it has no colour map");
  const GifRect& frame = blocks.first;
  if (image.Width != frame.width || image.Height != frame.height) {
    return damaged("its blocks can be read in two ways");
  }

  Picture picture = make_picture(blocks.screen);
  std::fill(picture.rgb.begin(), picture.rgb.end(), std::uint8_t{255});
  std::vector<GifPixelType> indices(static_cast<std::size_t>(frame.width));
  for (const int y : row_order(frame.height, image.Interlace)) {
    if (DGifGetLine(gif.get(), indices.data(), frame.width) == GIF_ERROR) {
      return giflib_error(gif->Error);
    }
    draw_row(indices, *colours, transparent, frame, y, picture);
  }
  return picture;
}

}  // namespace

const ImageReader kGifReader = {.read_header = read_header, .decode = decode};

}  // namespace fourfold
