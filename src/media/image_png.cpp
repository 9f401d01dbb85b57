// PNG and animated PNG on libpng. The chunks are walked by us: libpng sees only those that pixels
// depend on.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <string>

#include "media/byte_order.h"
#include "media/exif.h"
#include "media/image_reader.h"

namespace fourfold {
namespace {

constexpr std::size_t kSignature = 8;
constexpr std::size_t kChunkFrame = 12;  // length, type and checksum
// What compressed data may lie behind the last row before reading stops: it would be inflated, a
// thousandfold at worst, and thrown away.
constexpr std::size_t kSurplus = 64 << 10;

Error damaged(std::string_view what) { return damaged_image("png", what); }

// ---- the chunks ----

// Those that every decoder may have to keep in memory; others are skipped at any length.
constexpr std::string_view kLimitedChunks[] = {
    "IHDR", "PLTE", "IEND", "tRNS", "cHRM", "gAMA", "iCCP", "sBIT", "sRGB", "cICP", "mDCV", "cLLI",
    "bKGD", "hIST", "pHYs", "sPLT", "eXIf", "tIME", "tEXt", "zTXt", "iTXt", "acTL", "fcTL"};

struct PngChunks {
  PictureSize size;
  bool is_interlaced = false;
  int n_frames = 1;
  int orientation = 1;
};

struct Chunk {
  std::string_view type;
  ImageBytes data;
};

// The chunk at `at`, which moves behind it.
Result<Chunk> read_chunk(ImageBytes file, std::size_t& at, const PictureLimits& limits) {
  if (file.size() - at < kChunkFrame) return damaged("cut short: it has no IEND chunk");
  const std::uint32_t length = read_u32_be(file, at);
  const std::string_view type(reinterpret_cast<const char*>(file.data()) + at + 4, 4);
  const bool is_limited = std::find(std::begin(kLimitedChunks), std::end(kLimitedChunks), type) !=
                          std::end(kLimitedChunks);
  if (is_limited && length > limits.png_chunk_bytes) {
    return resource_exhausted("png picture: a {} chunk of {} bytes (limit {})", type, length,
                              limits.png_chunk_bytes);
  }
  if (length > file.size() - at - kChunkFrame) {
    const bool is_name = std::all_of(type.begin(), type.end(), [](char c) {
      return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    });
    return damaged(fmt::format("cut short in {} at byte {}: {} bytes (expected {})",
                               is_name ? type : "a chunk", at, file.size() - at - kChunkFrame,
                               length));
  }
  const Chunk chunk{.type = type, .data = file.subspan(at + 8, length)};
  at += kChunkFrame + length;
  return chunk;
}

Result<PngChunks> walk_chunks(ImageBytes file, const PictureLimits& limits) {
  std::size_t at = kSignature;
  const auto header = TRY(read_chunk(file, at, limits));
  if (header.type != "IHDR" || header.data.size() != 13) {
    return damaged("it does not begin with an IHDR chunk of 13 bytes");
  }
  PngChunks png;
  // Sides above 2³¹ become negative, and are refused with the empty ones.
  png.size = {.width = static_cast<std::int32_t>(read_u32_be(header.data, 0)),
              .height = static_cast<std::int32_t>(read_u32_be(header.data, 4))};
  png.is_interlaced = header.data[12] != std::byte{0};
  bool has_pixels = false;
  for (;;) {
    const auto chunk = TRY(read_chunk(file, at, limits));
    if (chunk.type == "IEND") break;
    has_pixels |= chunk.type == "IDAT";
    if (chunk.type == "eXIf") png.orientation = read_exif_orientation(chunk.data);
    if (chunk.type == "acTL" && chunk.data.size() == 8 && !has_pixels) {
      png.n_frames = static_cast<int>(std::clamp(read_u32_be(chunk.data, 0), 1u, 1u << 30));
    }
  }
  if (!has_pixels) return damaged("it has no IDAT chunk");
  return png;
}

// ---- the pixels ----

// libpng reports errors by longjmp: the functions that call it hold no objects with destructors.
class PngDecoder {
 public:
  explicit PngDecoder(ImageBytes file) : file_(file), last_byte_(file.size()) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png_) info_ = png_create_info_struct(png_);
  }
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  bool begin(const PictureLimits& limits);
  // All rows, one after the other; those of interlaced pictures several times, into `rows`.
  bool read_rows(std::uint8_t* rows);
  // One row at a time, composed over white at once.
  bool read_rows_over_white(std::uint8_t* row, std::uint8_t* rgb);

  PictureSize size() const { return size_; }
  int n_channels() const { return n_channels_; }
  std::size_t row_bytes() const {
    return static_cast<std::size_t>(size_.width) * static_cast<std::size_t>(n_channels_);
  }
  Error error() const {
    return damaged(fmt::format("libpng: {}", message_.empty() ? "out of memory" : message_));
  }

 private:
  static PngDecoder& self(png_structp png) {
    return *static_cast<PngDecoder*>(png_get_error_ptr(png));
  }
  [[noreturn]] static void on_error(png_structp png, const char* message) {
    self(png).message_ = message;
    std::longjmp(self(png).failed_, 1);
  }
  static void on_warning(png_structp png, const char* message);
  static void read(png_structp png, png_bytep out, std::size_t n);
  void read_row(std::uint8_t* row, bool is_last);

  ImageBytes file_;
  std::size_t at_ = 0;
  std::size_t last_byte_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf failed_;
  std::string message_;
  PictureSize size_;
  int n_channels_ = 0;
  int n_passes_ = 1;
};

// libpng goes on after damage that it takes for small. It is not, where pixels depend on it.
void PngDecoder::on_warning(png_structp png, const char* message) {
  const std::string_view text = message;
  constexpr std::string_view kRead[] = {"IHDR", "PLTE", "tRNS", "IDAT", "IEND"};
  const bool is_of_pixels = std::any_of(std::begin(kRead), std::end(kRead),
                                        [&](auto type) { return text.starts_with(type); });
  // More data than needed, a palette where none belongs, a colour that it lacks (black).
  constexpr std::string_view kHarmless[] = {"xtra compressed data", "oo much image data",
                                            "oo many IDATs", "ignored in gray", "palette index"};
  const bool is_harmless = std::any_of(std::begin(kHarmless), std::end(kHarmless),
                                       [&](auto what) { return text.find(what) != text.npos; });
  if (is_of_pixels && !is_harmless) on_error(png, message);
}

void PngDecoder::read(png_structp png, png_bytep out, std::size_t n) {
  PngDecoder& decoder = self(png);
  if (n > decoder.file_.size() - decoder.at_) on_error(png, "cut short");
  if (decoder.at_ + n > decoder.last_byte_) on_error(png, "data goes on far behind the last row");
  std::memcpy(out, decoder.file_.data() + decoder.at_, n);
  decoder.at_ += n;
}

bool PngDecoder::begin(const PictureLimits& limits) {
  if (!png_ || !info_ || setjmp(failed_) != 0) return false;
  png_set_read_fn(png_, nullptr, read);
  png_set_user_limits(png_, static_cast<png_uint_32>(limits.side),
                      static_cast<png_uint_32>(limits.side));
  // Skips text, colour profiles and all else that changes no sample.
  png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(png_, info_);
  png_set_expand(png_);    // palettes, small depths and transparency to 8 bits and alpha
  png_set_strip_16(png_);  // the high byte
  png_set_gray_to_rgb(png_);
  n_passes_ = png_set_interlace_handling(png_);
  png_read_update_info(png_, info_);
  size_ = {.width = static_cast<int>(png_get_image_width(png_, info_)),
           .height = static_cast<int>(png_get_image_height(png_, info_))};
  n_channels_ = png_get_channels(png_, info_);
  if (png_get_bit_depth(png_, info_) != 8 || (n_channels_ != 3 && n_channels_ != 4)) {
    on_error(png_, "unexpected layout of pixels");
  }
  return true;
}

void PngDecoder::read_row(std::uint8_t* row, bool is_last) {
  // What follows the last row is read by the same call.
  if (is_last)
    last_byte_ = std::min(file_.size(), at_ + 2 * png_get_rowbytes(png_, info_) + kSurplus);
  png_read_row(png_, row, nullptr);
}

bool PngDecoder::read_rows(std::uint8_t* rows) {
  if (setjmp(failed_) != 0) return false;
  for (int pass = 0; pass < n_passes_; ++pass) {
    for (int y = 0; y < size_.height; ++y) {
      read_row(rows + static_cast<std::size_t>(y) * row_bytes(),
               pass == n_passes_ - 1 && y == size_.height - 1);
    }
  }
  last_byte_ = file_.size();
  png_read_end(png_, nullptr);
  return true;
}

bool PngDecoder::read_rows_over_white(std::uint8_t* row, std::uint8_t* rgb) {
  if (setjmp(failed_) != 0) return false;
  const auto width = static_cast<std::size_t>(size_.width);
  for (int y = 0; y < size_.height; ++y) {
    read_row(row, y == size_.height - 1);
    put_over_white(row, width, rgb + static_cast<std::size_t>(y) * width * 3);
  }
  last_byte_ = file_.size();
  png_read_end(png_, nullptr);
  return true;
}

Result<ImageHeader> read_header(ImageBytes file, const PictureLimits& limits) {
  const auto chunks = TRY(walk_chunks(file, limits));
  const auto channels = chunks.is_interlaced ? 4u : 3u;
  return ImageHeader{.size = chunks.size,
                     .orientation = chunks.orientation,
                     .n_frames = chunks.n_frames,
                     .memory_bytes = n_pixels(chunks.size) * channels};
}

// Pixels with alpha that came in several passes: the three channels move forward in the buffer.
Picture compose_in_place(PictureSize size, std::vector<std::uint8_t> rgba) {
  put_over_white(rgba.data(), n_pixels(size), rgba.data());
  rgba.resize(n_pixels(size) * 3);
  return {.width = size.width, .height = size.height, .rgb = std::move(rgba)};
}

Result<Picture> decode(ImageBytes file, const PictureLimits& limits) {
  const auto chunks = TRY(walk_chunks(file, limits));
  PngDecoder decoder(file);
  if (!decoder.begin(limits)) return decoder.error();
  if (decoder.size() != chunks.size) return damaged("two IHDR chunks");
  if (decoder.n_channels() == 3) {
    Picture picture = make_picture(decoder.size());
    if (!decoder.read_rows(picture.rgb.data())) return decoder.error();
    return picture;
  }
  if (chunks.is_interlaced) {
    std::vector<std::uint8_t> rgba(n_pixels(chunks.size) * 4);
    if (!decoder.read_rows(rgba.data())) return decoder.error();
    return compose_in_place(chunks.size, std::move(rgba));
  }
  Picture picture = make_picture(decoder.size());
  std::vector<std::uint8_t> row(decoder.row_bytes());
  if (!decoder.read_rows_over_white(row.data(), picture.rgb.data())) return decoder.error();
  return picture;
}

}  // namespace

const ImageReader kPngReader = {.read_header = read_header, .decode = decode};

}  // namespace fourfold
