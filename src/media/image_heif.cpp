// HEIC and AVIF on libheif: the primary picture, turned as the file says.
#include <libheif/heif.h>

#include <cstring>
#include <exception>
#include <memory>

#include "media/image_reader.h"

namespace fourfold {
namespace {

template <auto Release>
struct Releaser {
  template <class T>
  void operator()(T* object) const {
    Release(object);
  }
};
using HeifContext = std::unique_ptr<heif_context, Releaser<heif_context_free>>;
using HeifHandle = std::unique_ptr<heif_image_handle, Releaser<heif_image_handle_release>>;
using HeifImage = std::unique_ptr<heif_image, Releaser<heif_image_release>>;
using HeifOptions = std::unique_ptr<heif_decoding_options, Releaser<heif_decoding_options_free>>;

Error damaged(std::string_view what) { return damaged_image("heic or avif", what); }

Status check(const heif_error& error) {
  if (error.code == heif_error_Ok) return {};
  const std::string_view message = error.message ? error.message : "unknown error";
  if (error.code == heif_error_Unsupported_filetype ||
      error.code == heif_error_Unsupported_feature ||
      error.code == heif_error_Decoder_plugin_error) {
    return unimplemented("heic or avif picture: libheif: {}", message);
  }
  return damaged(fmt::format("libheif: {}", message));
}

// The file and its primary picture.
struct HeifFile {
  HeifContext context;
  HeifHandle primary;

  PictureSize size() const {
    return {.width = heif_image_handle_get_width(primary.get()),
            .height = heif_image_handle_get_height(primary.get())};
  }
};

Result<HeifFile> open_file(ImageBytes file, const PictureLimits& limits) {
  HeifFile heif;
  heif.context.reset(heif_context_alloc());
  heif_context_set_maximum_image_size_limit(heif.context.get(), limits.side);
  TRY(check(heif_context_read_from_memory_without_copy(heif.context.get(), file.data(), file.size(),
                                                       nullptr)));
  heif_image_handle* primary = nullptr;
  TRY(check(heif_context_get_primary_image_handle(heif.context.get(), &primary)));
  heif.primary.reset(primary);
  return heif;
}

Result<ImageHeader> read_header_of(ImageBytes file, const PictureLimits& limits) {
  const auto heif = TRY(open_file(file, limits));
  // Planes of up to 16 bits, interleaved pixels, ours; the library may hold two forms at once.
  return ImageHeader{
      .size = heif.size(),
      .n_frames = std::max(1, heif_context_get_number_of_top_level_images(heif.context.get())),
      .memory_bytes = n_pixels(heif.size()) * (8 + 8 + 3)};
}

Result<Picture> decode_file(ImageBytes file, const PictureLimits& limits) {
  const auto heif = TRY(open_file(file, limits));
  const bool has_alpha = heif_image_handle_has_alpha_channel(heif.primary.get()) != 0;
  const HeifOptions options(heif_decoding_options_alloc());
  options->convert_hdr_to_8bit = 1;
  options->strict_decoding = 1;
  heif_image* decoded = nullptr;
  TRY(check(heif_decode_image(
      heif.primary.get(), &decoded, heif_colorspace_RGB,
      has_alpha ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB, options.get())));
  const HeifImage image(decoded);
  const PictureSize size = {.width = heif_image_get_width(decoded, heif_channel_interleaved),
                            .height = heif_image_get_height(decoded, heif_channel_interleaved)};
  int stride = 0;
  const std::uint8_t* rows =
      heif_image_get_plane_readonly(decoded, heif_channel_interleaved, &stride);
  if (!rows || size != heif.size()) return damaged("its pixels are not of the size that it says");

  Picture picture = make_picture(size);
  const auto width = static_cast<std::size_t>(size.width);
  for (std::size_t y = 0; y < static_cast<std::size_t>(size.height); ++y) {
    const std::uint8_t* row = rows + y * static_cast<std::size_t>(stride);
    std::uint8_t* out = picture.rgb.data() + y * width * 3;
    if (has_alpha) {
      put_over_white(row, width, out);
    } else {
      std::memcpy(out, row, width * 3);
    }
  }
  return picture;
}

// libheif is written in C++ and lets its exceptions out.
template <class T>
Result<T> guarded(Result<T> (*call)(ImageBytes, const PictureLimits&), ImageBytes file,
                  const PictureLimits& limits) {
  try {
    return call(file, limits);
  } catch (const std::bad_alloc&) {
    return resource_exhausted("heic or avif picture: not enough memory to decode it");
  } catch (const std::exception& exception) {
    return damaged(fmt::format("libheif: {}", exception.what()));
  }
}

Result<ImageHeader> read_header(ImageBytes file, const PictureLimits& limits) {
  return guarded(read_header_of, file, limits);
}

Result<Picture> decode(ImageBytes file, const PictureLimits& limits) {
  return guarded(decode_file, file, limits);
}

}  // namespace

const ImageReader kHeifReader = {.read_header = read_header, .decode = decode};

}  // namespace fourfold
