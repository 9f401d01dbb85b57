// WebP on libwebp at its defaults: lossy and lossless, and the first frame of an animation.
#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>

#include "media/exif.h"
#include "media/image_reader.h"

namespace fourfold {
namespace {

Error damaged(std::string_view what) { return damaged_image("webp", what); }

// Views of the file: the container, and its first frame.
class WebpFile {
 public:
  static Result<std::unique_ptr<WebpFile>> open(ImageBytes file) {
    auto webp = std::make_unique<WebpFile>();
    const WebPData data = {.bytes = reinterpret_cast<const std::uint8_t*>(file.data()),
                           .size = file.size()};
    webp->demuxer_ = WebPDemux(&data);
    if (!webp->demuxer_) return damaged("cut short, or its chunks do not fit each other");
    if (!WebPDemuxGetFrame(webp->demuxer_, 1, &webp->frame_)) return damaged("it has no frame");
    return webp;
  }
  WebpFile() = default;
  ~WebpFile() {
    WebPDemuxReleaseIterator(&frame_);
    WebPDemuxDelete(demuxer_);
  }
  WebpFile(const WebpFile&) = delete;
  WebpFile& operator=(const WebpFile&) = delete;

  // Of the canvas.
  PictureSize size() const {
    return {.width = static_cast<int>(WebPDemuxGetI(demuxer_, WEBP_FF_CANVAS_WIDTH)),
            .height = static_cast<int>(WebPDemuxGetI(demuxer_, WEBP_FF_CANVAS_HEIGHT))};
  }
  const WebPIterator& frame() const { return frame_; }
  int n_frames() const { return static_cast<int>(WebPDemuxGetI(demuxer_, WEBP_FF_FRAME_COUNT)); }

  int orientation() const {
    WebPChunkIterator chunk;
    int orientation = 1;
    if (WebPDemuxGetChunk(demuxer_, "EXIF", 1, &chunk)) {
      orientation =
          read_exif_orientation(std::as_bytes(std::span(chunk.chunk.bytes, chunk.chunk.size)));
    }
    WebPDemuxReleaseChunkIterator(&chunk);
    return orientation;
  }

 private:
  WebPDemuxer* demuxer_ = nullptr;
  WebPIterator frame_ = {};
};

Result<ImageHeader> read_header(ImageBytes file, const PictureLimits&) {
  const auto webp = TRY(WebpFile::open(file));
  // The canvas, a frame with alpha, and what the lossless decoder works on.
  return ImageHeader{.size = webp->size(),
                     .orientation = webp->orientation(),
                     .n_frames = webp->n_frames(),
                     .memory_bytes = n_pixels(webp->size()) * (3 + 4 + 4)};
}

// Pixels as the decoder gives them: RGB, or RGBA if some are transparent.
Result<std::vector<std::uint8_t>> decode_frame(const WebPIterator& frame, bool has_alpha) {
  const auto width = static_cast<std::size_t>(frame.width);
  const auto height = static_cast<std::size_t>(frame.height);
  const std::size_t channels = has_alpha ? 4 : 3;
  std::vector<std::uint8_t> pixels(width * height * channels);
  const auto decode = has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (!decode(frame.fragment.bytes, frame.fragment.size, pixels.data(), pixels.size(),
              static_cast<int>(width * channels))) {
    return damaged("its coded pixels are cut short or wrong");
  }
  return pixels;
}

Result<Picture> decode(ImageBytes file, const PictureLimits&) {
  const auto webp = TRY(WebpFile::open(file));
  const WebPIterator& frame = webp->frame();
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(frame.fragment.bytes, frame.fragment.size, &features) != VP8_STATUS_OK ||
      features.width != frame.width || features.height != frame.height) {
    return damaged("its frame is not of the size that its container says");
  }
  auto pixels = TRY(decode_frame(frame, features.has_alpha != 0));
  const PictureSize size = webp->size();
  const PictureSize frame_size = {.width = frame.width, .height = frame.height};
  if (features.has_alpha) {
    put_over_white(pixels.data(), n_pixels(frame_size), pixels.data());
    pixels.resize(n_pixels(frame_size) * 3);
  }
  if (frame_size == size) {
    return Picture{.width = size.width, .height = size.height, .rgb = std::move(pixels)};
  }
  if (frame.x_offset < 0 || frame.y_offset < 0 || frame.width > size.width - frame.x_offset ||
      frame.height > size.height - frame.y_offset) {
    return damaged("its first frame lies outside the picture");
  }
  Picture picture = make_picture(size);
  std::fill(picture.rgb.begin(), picture.rgb.end(), std::uint8_t{255});
  for (int y = 0; y < frame.height; ++y) {
    const auto to =
        static_cast<std::size_t>(frame.y_offset + y) * static_cast<std::size_t>(size.width) +
        static_cast<std::size_t>(frame.x_offset);
    const auto from = static_cast<std::size_t>(y) * static_cast<std::size_t>(frame.width);
    std::copy_n(pixels.data() + 3 * from, 3 * static_cast<std::size_t>(frame.width),
                picture.rgb.data() + 3 * to);
  }
  return picture;
}

}  // namespace

const ImageReader kWebpReader = {.read_header = read_header, .decode = decode};

}  // namespace fourfold
