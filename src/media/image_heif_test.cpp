// HEIC and AVIF pictures that libheif encodes here: what its decoder makes of them upright, over
// white, and in which colours. Skipped where its encoders are not installed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libheif/heif.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "media/library_leaks.h"
#include "media/picture.h"

namespace fourfold {
namespace {

using testing::HasSubstr;

constexpr int kWidth = 96, kHeight = 64;
using Colour = std::array<int, 3>;
constexpr Colour kRed = {220, 30, 30}, kGreen = {30, 180, 30}, kBlue = {30, 30, 220},
                 kGrey = {128, 128, 128}, kWhite = {255, 255, 255};
constexpr int kMostOff = 12;  // what the codecs lose

struct Format {
  const char* name;
  heif_compression_format compression;
};
std::ostream& operator<<(std::ostream& out, const Format& format) { return out << format.name; }

struct Recipe {
  heif_orientation orientation = heif_orientation_normal;
  bool left_is_clear = false;  // transparent
  int bits = 8;
};

struct Freed {
  void operator()(heif_context* context) const { heif_context_free(context); }
  void operator()(heif_image* image) const { heif_image_release(image); }
  void operator()(heif_encoder* encoder) const { heif_encoder_release(encoder); }
  void operator()(heif_encoding_options* options) const { heif_encoding_options_free(options); }
};
template <class T>
using Owned = std::unique_ptr<T, Freed>;

void expect_done(const heif_error& error) { ASSERT_EQ(error.code, heif_error_Ok) << error.message; }

// Red and green above blue and grey.
const Colour& colour_at(int x, int y) {
  if (y < kHeight / 2) return x < kWidth / 2 ? kRed : kGreen;
  return x < kWidth / 2 ? kBlue : kGrey;
}

Owned<heif_image> draw(const Recipe& recipe) {
  const int n_channels = recipe.left_is_clear ? 4 : 3;
  const bool is_deep = recipe.bits > 8;
  heif_chroma chroma =
      recipe.left_is_clear ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB;
  if (is_deep) chroma = heif_chroma_interleaved_RRGGBB_LE;
  heif_image* drawn = nullptr;
  expect_done(heif_image_create(kWidth, kHeight, heif_colorspace_RGB, chroma, &drawn));
  Owned<heif_image> image(drawn);
  expect_done(heif_image_add_plane(drawn, heif_channel_interleaved, kWidth, kHeight, recipe.bits));
  int stride = 0;
  std::uint8_t* rows = heif_image_get_plane(drawn, heif_channel_interleaved, &stride);
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      for (int c = 0; c < n_channels; ++c) {
        const bool is_alpha = c == 3;
        const int value =
            is_alpha ? (x < kWidth / 2 ? 0 : 255) : colour_at(x, y)[static_cast<std::size_t>(c)];
        std::uint8_t* pixel = rows + y * stride + (x * n_channels + c) * (is_deep ? 2 : 1);
        const int deep = value << (recipe.bits - 8);
        pixel[0] = static_cast<std::uint8_t>(deep);
        if (is_deep) pixel[1] = static_cast<std::uint8_t>(deep >> 8);
      }
    }
  }
  return image;
}

heif_error append(heif_context*, const void* data, std::size_t size, void* user) {
  const auto* bytes = static_cast<const std::byte*>(data);
  auto& file = *static_cast<std::vector<std::byte>*>(user);
  file.insert(file.end(), bytes, bytes + size);
  return {heif_error_Ok, heif_suberror_Unspecified, ""};
}

std::vector<std::byte> make_file(const Format& format, const Recipe& recipe) {
  const Owned<heif_context> context(heif_context_alloc());
  heif_encoder* made = nullptr;
  expect_done(heif_context_get_encoder_for_format(context.get(), format.compression, &made));
  const Owned<heif_encoder> encoder(made);
  expect_done(heif_encoder_set_lossy_quality(made, 90));
  const Owned<heif_encoding_options> options(heif_encoding_options_alloc());
  options->image_orientation = recipe.orientation;
  const auto image = draw(recipe);
  expect_done(heif_context_encode_image(context.get(), image.get(), made, options.get(), nullptr));
  std::vector<std::byte> file;
  heif_writer writer{.writer_api_version = 1, .write = append};
  expect_done(heif_context_write(context.get(), &writer, &file));
  return file;
}

Colour pixel(const Picture& picture, int x, int y) {
  const std::size_t at = (static_cast<std::size_t>(y) * static_cast<std::size_t>(picture.width) +
                          static_cast<std::size_t>(x)) *
                         3;
  return {picture.rgb[at], picture.rgb[at + 1], picture.rgb[at + 2]};
}

// The middles of the quarters, row by row.
void expect_quarters(const Picture& picture, const std::array<Colour, 4>& expected) {
  for (int quarter = 0; quarter < 4; ++quarter) {
    const int x = picture.width / 4 * (quarter % 2 == 0 ? 1 : 3),
              y = picture.height / 4 * (quarter < 2 ? 1 : 3);
    const Colour found = pixel(picture, x, y), wanted = expected[static_cast<std::size_t>(quarter)];
    for (std::size_t c = 0; c < 3; ++c) {
      EXPECT_NEAR(found[c], wanted[c], kMostOff) << "quarter " << quarter << " channel " << c;
    }
  }
}

class ImageHeif : public testing::TestWithParam<Format> {
 protected:
  void SetUp() override {
    const Format format = GetParam();
    if (!heif_have_encoder_for_format(format.compression)) {
      GTEST_SKIP() << "libheif has no encoder of " << format.name;
    }
    if (!heif_have_decoder_for_format(format.compression)) {
      GTEST_SKIP() << "libheif has no decoder of " << format.name;
    }
  }
  static Picture decoded(const std::vector<std::byte>& file) {
    const auto decoded = decode_picture(file, {});
    EXPECT_TRUE(decoded.ok()) << decoded.error().message;
    if (!decoded.ok()) return {};
    EXPECT_EQ(decoded->format, GetParam().name);
    EXPECT_EQ(decoded->n_frames, 1);
    return decoded->picture;
  }
};

TEST_P(ImageHeif, HasTheColoursThatWereEncoded) {
  const auto file = make_file(GetParam(), {});
  const auto info = read_picture_info(file, {});
  ASSERT_TRUE(info.ok()) << info.error().message;
  EXPECT_EQ(info->size, (PictureSize{kWidth, kHeight}));
  EXPECT_EQ(info->format, GetParam().name);
  const Picture picture = decoded(file);
  ASSERT_EQ(picture.size(), (PictureSize{kWidth, kHeight}));
  expect_quarters(picture, {kRed, kGreen, kBlue, kGrey});
}

TEST_P(ImageHeif, IsTurnedAsTheFileSays) {
  struct Row {
    heif_orientation orientation;
    std::array<Colour, 4> quarters;
  };
  const Row rows[] = {
      {heif_orientation_flip_horizontally, {kGreen, kRed, kGrey, kBlue}},
      {heif_orientation_rotate_180, {kGrey, kBlue, kGreen, kRed}},
      {heif_orientation_flip_vertically, {kBlue, kGrey, kRed, kGreen}},
      {heif_orientation_rotate_90_cw, {kBlue, kRed, kGrey, kGreen}},
      {heif_orientation_rotate_270_cw, {kGreen, kGrey, kRed, kBlue}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.orientation);
    const auto file = make_file(GetParam(), {.orientation = row.orientation});
    const Picture picture = decoded(file);
    const bool lies = row.orientation >= heif_orientation_rotate_90_cw;
    const PictureSize size = lies ? PictureSize{kHeight, kWidth} : PictureSize{kWidth, kHeight};
    ASSERT_EQ(picture.size(), size);
    EXPECT_EQ(read_picture_size(file, {}).value(), size);
    expect_quarters(picture, row.quarters);
  }
}

TEST_P(ImageHeif, IsComposedOverWhite) {
  const Picture picture = decoded(make_file(GetParam(), {.left_is_clear = true}));
  ASSERT_EQ(picture.size(), (PictureSize{kWidth, kHeight}));
  expect_quarters(picture, {kWhite, kGreen, kWhite, kGrey});
}

TEST_P(ImageHeif, OfTenBitsKeepsTheHighOnes) {
  if (GetParam().compression == heif_compression_AV1) {
    GTEST_SKIP() << "libheif 1.15 brings its AV1 encoder down with ten bits";
  }
  const Picture picture = decoded(make_file(GetParam(), {.bits = 10}));
  ASSERT_EQ(picture.size(), (PictureSize{kWidth, kHeight}));
  expect_quarters(picture, {kRed, kGreen, kBlue, kGrey});
}

TEST_P(ImageHeif, ThatIsCutOrTooLargeIsRefused) {
  auto file = make_file(GetParam(), {});
  const auto large = decode_picture(file, {.pixels = kWidth * kHeight - 1});
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, Code::ResourceExhausted);
  EXPECT_THAT(large.error().message, HasSubstr("6144 pixels (limit 6143)"));
  const std::size_t whole = file.size();
  for (const std::size_t n : {whole / 4, whole / 2, whole - 40}) {
    file.resize(n);
    file.shrink_to_fit();
    EXPECT_FALSE(decode_picture(file, {}).ok()) << n << " of " << whole;
    file = make_file(GetParam(), {});
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, ImageHeif,
                         testing::Values(Format{"heic", heif_compression_HEVC},
                                         Format{"avif", heif_compression_AV1}),
                         [](const auto& format) { return std::string(format.param.name); });

}  // namespace
}  // namespace fourfold
