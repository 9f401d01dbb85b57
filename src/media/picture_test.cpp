// Pictures against the goldens of the reference's image processor, and forms that it has none of.
#include "media/picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <zlib.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>

#include "base/json.h"
#include "media/patches.h"
#include "media/resize.h"
#include "media/test_arrays.h"
#include "media/test_pictures.h"

namespace fourfold {
namespace {

using testing::HasSubstr;

const std::string kCase = "vision/preprocess/";

nlohmann::json golden_case() {
  const auto text = read_text_file(golden_path(kCase + "case.json"));
  EXPECT_TRUE(text.ok());
  auto json = parse_json(text.ok() ? *text : "{}");
  EXPECT_TRUE(json.ok());
  return json.ok() ? std::move(*json) : nlohmann::json();
}

std::vector<std::byte> read_golden(const std::string& name) {
  const auto file = MappedFile::open(golden_path(kCase + name));
  EXPECT_TRUE(file.ok()) << name;
  if (!file.ok()) return {};
  const auto bytes = (*file)->bytes();
  return {bytes.begin(), bytes.end()};
}

template <class T>
std::uint32_t crc_of(const std::vector<T>& values) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(values.data()), values.size() * sizeof(T)));
}

// Another version of a lossy decoder may differ a little.
void expect_near(const std::vector<std::uint8_t>& got, const std::vector<std::uint8_t>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  double sum = 0.0;
  int largest = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const int difference = std::abs(int{got[i]} - int{expected[i]});
    sum += difference;
    largest = std::max(largest, difference);
  }
  EXPECT_LE(sum / static_cast<double>(got.size()), 1.0);
  EXPECT_LE(largest, 24);
}

void check_patches(const Picture& resized, const nlohmann::json& row) {
  const auto patches = make_patches(resized, 16, PixelScale::Picture);
  EXPECT_EQ(patches.n(), row["patches"].get<std::int64_t>());
  EXPECT_EQ(crc_of(patches.values), row["pixel_values_crc32"].get<std::uint32_t>());
  EXPECT_EQ(crc_of(patches.positions), row["position_ids_crc32"].get<std::uint32_t>());
}

class GoldenPictures : public testing::TestWithParam<int> {};

TEST_P(GoldenPictures, BecomeThePatchesOfTheReference) {
  const auto entry = golden_case()["images"][static_cast<std::size_t>(GetParam())];
  SCOPED_TRACE(entry["file"].get<std::string>());
  const auto file = read_golden(entry["file"].get<std::string>());
  const auto decoded = decode_picture(file, {});
  if (!decoded.ok() && decoded.error().code == Code::Unimplemented) {
    GTEST_SKIP() << decoded.error().message;
  }
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  const Picture& picture = decoded->picture;
  EXPECT_EQ(picture.width, entry["width"].get<int>());
  EXPECT_EQ(picture.height, entry["height"].get<int>());
  const auto size = read_picture_size(file, {});
  ASSERT_TRUE(size.ok()) << size.error().message;
  EXPECT_EQ(*size, picture.size());

  const bool is_exact = crc_of(picture.rgb) == entry["source_crc32"].get<std::uint32_t>();
  EXPECT_TRUE(is_exact || !entry["lossless"].get<bool>());
  for (const auto& row : entry["budgets"]) {
    const auto target = target_size(picture.size(), row["budget"].get<int>());
    ASSERT_TRUE(target.ok()) << target.error().message;
    EXPECT_EQ(target->width, row["target_width"].get<int>());
    EXPECT_EQ(target->height, row["target_height"].get<int>());
    EXPECT_EQ(soft_tokens(*target), row["soft_tokens"].get<int>());
    const Picture resized = resize(picture, *target);
    if (is_exact) {
      EXPECT_EQ(crc_of(resized.rgb), row["resized_crc32"].get<std::uint32_t>());
      check_patches(resized, row);
    } else if (row.contains("stored")) {
      const TestArrays expected(golden_path(kCase + "expected.safetensors"));
      expect_near(resized.rgb, expected.bytes(row["stored"].get<std::string>() + ".resized"));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenPictures, testing::Range(0, 51));

TEST(GoldenPictures, AreAllTested) { EXPECT_EQ(golden_case()["images"].size(), 51u); }

TEST(GoldenPictures, OfBadFilesAreRefused) {
  const auto json = golden_case();
  for (const auto& name : json["refused"]["files"]) {
    const auto decoded = decode_picture(read_golden(name.get<std::string>()), {});
    ASSERT_FALSE(decoded.ok()) << name;
    EXPECT_TRUE(decoded.error().code == Code::InvalidArgument ||
                decoded.error().code == Code::Unimplemented)
        << decoded.error().message;
  }
  const auto message = [](const std::string& name) {
    return decode_picture(read_golden("bad/" + name), {}).error().message;
  };
  EXPECT_THAT(message("empty.png"), HasSubstr("an empty file (expected png, jpeg"));
  EXPECT_THAT(message("not_an_image.jpg"), HasSubstr("no picture that we know (expected png"));
}

TEST(GoldenPictures, GiveTheStoredPatches) {
  const TestArrays expected(golden_path(kCase + "expected.safetensors"));
  for (const std::string name : {"coords", "noise_small"}) {
    const auto decoded = decode_picture(read_golden("images/" + name + ".png"), {});
    if (!decoded.ok()) GTEST_SKIP() << decoded.error().message;
    const auto target = target_size(decoded->picture.size(), 70);
    const auto patches = make_patches(resize(decoded->picture, *target), 16, PixelScale::Picture);
    EXPECT_EQ(patches.positions, expected.ints(name + ".position_ids"));
    const auto rows = expected.ints(name + ".patch_rows");
    const auto values = expected.floats(name + ".patches");
    ASSERT_EQ(values.size(), rows.size() * 768);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const float* row = patches.values.data() + rows[i] * patches.width();
      EXPECT_EQ(std::vector(row, row + 768),
                std::vector(values.begin() + static_cast<std::ptrdiff_t>(768 * i),
                            values.begin() + static_cast<std::ptrdiff_t>(768 * (i + 1))));
    }
  }
}

TEST(Pictures, TellHowManyFramesTheirFileHas) {
  const auto animated = decode_picture(read_golden("images/animated.gif"), {});
  if (!animated.ok()) GTEST_SKIP() << animated.error().message;
  EXPECT_EQ(animated->format, "gif");
  EXPECT_GT(animated->n_frames, 1);
  const auto still = decode_picture(read_golden("images/static.gif"), {});
  ASSERT_TRUE(still.ok());
  EXPECT_EQ(still->n_frames, 1);
  const auto info = read_picture_info(read_golden("images/animated.gif"), {});
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->n_frames, animated->n_frames);
}

TEST(Pictures, NeedMemoryForTheirPixelsAndForTurningThem) {
  const auto plain = read_picture_info(read_golden("images/jpeg_444.jpg"), {});
  const auto turned = read_picture_info(read_golden("images/exif_6.jpg"), {});
  if (!plain.ok()) GTEST_SKIP() << plain.error().message;
  const auto bytes = [](const PictureInfo& info) {
    return 3 * static_cast<std::uint64_t>(info.size.width) *
           static_cast<std::uint64_t>(info.size.height);
  };
  EXPECT_EQ(plain->memory_bytes, bytes(*plain));
  EXPECT_EQ(turned->memory_bytes, 2 * bytes(*turned));
  // All coefficients are kept until the last scan.
  const auto progressive = read_picture_info(read_golden("images/jpeg_progressive.jpg"), {});
  EXPECT_GT(progressive->memory_bytes, 2 * bytes(*progressive));
}

// ---- limits ----

TEST(PictureLimits, AreReadFromHeadersAndNamed) {
  const auto file = read_golden("images/palette.bmp");
  const auto size = read_picture_size(file, {});
  ASSERT_TRUE(size.ok()) << size.error().message;
  const int longest = std::max(size->width, size->height);
  const auto n_pixels = static_cast<std::uint64_t>(size->width * size->height);
  const std::pair<PictureLimits, std::string> rows[] = {
      {{.file_bytes = 1000}, "bytes (limit 1000)"},
      {{.pixels = n_pixels - 1}, fmt::format("{} pixels (limit {})", n_pixels, n_pixels - 1)},
      {{.side = longest - 1}, fmt::format("(limit of a side: {})", longest - 1)},
  };
  for (const auto& [limits, message] : rows) {
    const auto decoded = decode_picture(file, limits);
    ASSERT_FALSE(decoded.ok());
    EXPECT_EQ(decoded.error().code, Code::ResourceExhausted);
    EXPECT_THAT(decoded.error().message, HasSubstr(message));
    EXPECT_FALSE(read_picture_size(file, limits).ok());
  }
  EXPECT_TRUE(decode_picture(file, {.pixels = n_pixels, .side = longest}).ok());
}

TEST(PictureFiles, OfOtherKindsAreNamed) {
  const auto decoded = decode_picture(to_bytes(std::string("RIFF\x24\0\0\0WAVEfmt ", 16)), {});
  ASSERT_FALSE(decoded.ok());
  EXPECT_THAT(decoded.error().message, HasSubstr("the bytes are audio/wav (expected png, jpeg"));
}

// ---- orientation ----

// A picture of 3 × 2 pixels: its red levels are 1 2 3 / 4 5 6.
std::vector<std::byte> numbered_png(int orientation) {
  std::string rows;
  for (int y = 0; y < 2; ++y) {
    rows += '\0';
    for (int x = 0; x < 3; ++x) rows += std::string{static_cast<char>(3 * y + x + 1), 0, 0};
  }
  PngFile png({.width = 3, .height = 2, .bits = 8, .colour = 2});
  png.add("eXIf", exif_with_orientation(orientation));
  png.add("IDAT", deflated(rows));
  return png.finish();
}

TEST(Orientation, TurnsAndMirrors) {
  const std::pair<int, std::vector<int>> rows[] = {
      {1, {1, 2, 3, 4, 5, 6}}, {2, {3, 2, 1, 6, 5, 4}}, {3, {6, 5, 4, 3, 2, 1}},
      {4, {4, 5, 6, 1, 2, 3}}, {5, {1, 4, 2, 5, 3, 6}}, {6, {4, 1, 5, 2, 6, 3}},
      {7, {6, 3, 5, 2, 4, 1}}, {8, {3, 6, 2, 5, 1, 4}}, {9, {1, 2, 3, 4, 5, 6}},
      {0, {1, 2, 3, 4, 5, 6}}};
  for (const auto& [orientation, expected] : rows) {
    const auto decoded = decode_picture(numbered_png(orientation), {});
    if (!decoded.ok() && decoded.error().code == Code::Unimplemented) GTEST_SKIP();
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    std::vector<int> reds;
    for (std::size_t i = 0; i < decoded->picture.rgb.size(); i += 3) {
      reds.push_back(decoded->picture.rgb[i]);
    }
    EXPECT_EQ(reds, expected) << orientation;
    EXPECT_EQ(decoded->picture.width, orientation >= 5 && orientation <= 8 ? 2 : 3);
  }
}

}  // namespace
}  // namespace fourfold
