// JPEG on libjpeg-turbo at its defaults, which gives the pixels of the reference's decoder.
#include <cstdio>  // jpeglib.h needs it first

#include <jerror.h>
#include <jpeglib.h>

#include <csetjmp>
#include <string>

#include "media/exif.h"
#include "media/image_reader.h"

namespace fourfold {
namespace {

constexpr std::size_t kMostMarkerBytes = 0xffff;

Error damaged(std::string_view what) { return damaged_image("jpeg", what); }

// a · b / 255, rounded as Pillow does it.
int multiply_levels(int a, int b) {
  const int product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

// Files hold inverted ink: what is stored is the light that it lets through. So does Pillow take
// every file, with or without the marker of Adobe.
void cmyk_to_rgb(const std::uint8_t* cmyk, std::size_t n_pixels, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < n_pixels; ++i, cmyk += 4, rgb += 3) {
    const int light = cmyk[3];
    for (int c = 0; c < 3; ++c) {
      rgb[c] = static_cast<std::uint8_t>(light - multiply_levels(255 - cmyk[c], light));
    }
  }
}

// libjpeg reports errors by longjmp: the functions that call it hold no objects with destructors.
class JpegDecoder {
 public:
  JpegDecoder(ImageBytes file, const PictureLimits& limits) : file_(file), limits_(limits) {
    jpeg_.err = jpeg_std_error(&errors_);
    jpeg_.client_data = this;
    errors_.error_exit = on_error;
    errors_.emit_message = on_message;
    progress_.progress_monitor = on_progress;
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&jpeg_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  bool read_header();
  bool begin_rows();
  // RGB rows, one after the other; `row` has room for one of CMYK.
  bool read_rows(std::uint8_t* row, std::uint8_t* rgb);

  PictureSize size() const {
    return {.width = static_cast<int>(jpeg_.image_width),
            .height = static_cast<int>(jpeg_.image_height)};
  }
  bool is_cmyk() const { return jpeg_.out_color_space == JCS_CMYK; }
  ImageBytes exif() const;
  std::uint64_t memory_bytes() const;
  Error error() const {
    return is_over_limit_ ? resource_exhausted("jpeg picture: {}", message_) : damaged(message_);
  }

 private:
  static JpegDecoder& self(j_common_ptr jpeg) {
    return *static_cast<JpegDecoder*>(jpeg->client_data);
  }
  [[noreturn]] static void on_error(j_common_ptr jpeg);
  static void on_message(j_common_ptr jpeg, int level);
  static void on_progress(j_common_ptr jpeg);

  ImageBytes file_;
  PictureLimits limits_;
  jpeg_decompress_struct jpeg_ = {};
  jpeg_error_mgr errors_ = {};
  jpeg_progress_mgr progress_ = {};
  std::jmp_buf failed_;
  std::string message_;
  bool is_over_limit_ = false;
};

void JpegDecoder::on_error(j_common_ptr jpeg) {
  char text[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, text);
  self(jpeg).message_ = std::string("libjpeg: ") + text;
  std::longjmp(self(jpeg).failed_, 1);
}

// A warning means that pixels are made up. Bytes too many change none.
void JpegDecoder::on_message(j_common_ptr jpeg, int level) {
  if (level < 0 && jpeg->err->msg_code != JWRN_EXTRANEOUS_DATA) on_error(jpeg);
}

// Each scan of a progressive file costs a pass over the whole picture, however short it is.
void JpegDecoder::on_progress(j_common_ptr jpeg) {
  JpegDecoder& decoder = self(jpeg);
  if (decoder.jpeg_.input_scan_number <= decoder.limits_.jpeg_scans) return;
  decoder.message_ = fmt::format("at least {} scans (limit {})", decoder.jpeg_.input_scan_number,
                                 decoder.limits_.jpeg_scans);
  decoder.is_over_limit_ = true;
  std::longjmp(decoder.failed_, 1);
}

bool JpegDecoder::read_header() {
  if (setjmp(failed_) != 0) return false;
  jpeg_create_decompress(&jpeg_);
  jpeg_.progress = &progress_;
  jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(file_.data()), file_.size());
  jpeg_save_markers(&jpeg_, JPEG_APP0 + 1, kMostMarkerBytes);
  jpeg_read_header(&jpeg_, TRUE);
  jpeg_.out_color_space = jpeg_.num_components == 4 ? JCS_CMYK : JCS_RGB;
  return true;
}

bool JpegDecoder::begin_rows() {
  if (setjmp(failed_) != 0) return false;
  jpeg_start_decompress(&jpeg_);
  return true;
}

bool JpegDecoder::read_rows(std::uint8_t* row, std::uint8_t* rgb) {
  if (setjmp(failed_) != 0) return false;
  const std::size_t width = jpeg_.output_width;
  while (jpeg_.output_scanline < jpeg_.output_height) {
    std::uint8_t* to = rgb + std::size_t{jpeg_.output_scanline} * width * 3;
    JSAMPROW rows[] = {is_cmyk() ? row : to};
    jpeg_read_scanlines(&jpeg_, rows, 1);
    if (is_cmyk()) cmyk_to_rgb(row, width, to);
  }
  jpeg_finish_decompress(&jpeg_);
  return true;
}

ImageBytes JpegDecoder::exif() const {
  constexpr std::string_view kExif("Exif\0\0", 6);
  for (const auto* marker = jpeg_.marker_list; marker; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (data.starts_with(kExif)) return std::as_bytes(std::span(data));
  }
  return {};
}

std::uint64_t JpegDecoder::memory_bytes() const {
  std::uint64_t bytes = 3 * n_pixels(size());
  if (!jpeg_has_multiple_scans(const_cast<jpeg_decompress_struct*>(&jpeg_))) return bytes;
  // Coefficients of 16 bits for every sample of every component, in whole blocks of 8 × 8.
  for (int i = 0; i < jpeg_.num_components; ++i) {
    const auto& component = jpeg_.comp_info[i];
    bytes += std::uint64_t{component.width_in_blocks + std::uint64_t{4}} *
             (component.height_in_blocks + std::uint64_t{4}) * 64 * sizeof(JCOEF);
  }
  return bytes;
}

Result<ImageHeader> read_header(ImageBytes file, const PictureLimits& limits) {
  JpegDecoder decoder(file, limits);
  if (!decoder.read_header()) return decoder.error();
  return ImageHeader{.size = decoder.size(),
                     .orientation = read_exif_orientation(decoder.exif()),
                     .memory_bytes = decoder.memory_bytes()};
}

Result<Picture> decode(ImageBytes file, const PictureLimits& limits) {
  JpegDecoder decoder(file, limits);
  if (!decoder.read_header() || !decoder.begin_rows()) return decoder.error();
  Picture picture = make_picture(decoder.size());
  std::vector<std::uint8_t> row;
  if (decoder.is_cmyk()) row.resize(static_cast<std::size_t>(picture.width) * 4);
  if (!decoder.read_rows(row.data(), picture.rgb.data())) return decoder.error();
  return picture;
}

}  // namespace

const ImageReader kJpegReader = {.read_header = read_header, .decode = decode};

}  // namespace fourfold
