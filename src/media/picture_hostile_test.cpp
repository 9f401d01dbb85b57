// Pictures that somebody made to do harm, or that the way here has damaged: each one is refused
// with a reason, or is the right picture, in bounded time and memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <random>

#include "media/picture.h"
#include "media/test_arrays.h"
#include "media/test_pictures.h"

namespace fourfold {
namespace {

using testing::HasSubstr;
using namespace std::string_literals;
using Bytes = std::vector<std::byte>;

constexpr double kMostSeconds = 10.0;  // of one file, also in a sanitizer build on a busy machine

Bytes read_golden(const std::string& name) {
  const auto file = MappedFile::open(golden_path("vision/preprocess/images/" + name));
  EXPECT_TRUE(file.ok()) << name;
  if (!file.ok()) return {};
  return {(*file)->bytes().begin(), (*file)->bytes().end()};
}

Result<DecodedPicture> decode_in_time(const Bytes& file) {
  const auto start = std::chrono::steady_clock::now();
  auto decoded = decode_picture(file, {});
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  EXPECT_LT(taken.count(), kMostSeconds);
  if (decoded.ok()) {
    const Picture& picture = decoded->picture;
    EXPECT_GT(picture.width, 0);
    EXPECT_GT(picture.height, 0);
    EXPECT_EQ(picture.rgb.size(), static_cast<std::size_t>(picture.width) *
                                      static_cast<std::size_t>(picture.height) * 3);
  } else {
    EXPECT_TRUE(decoded.error().code == Code::InvalidArgument ||
                decoded.error().code == Code::ResourceExhausted ||
                decoded.error().code == Code::Unimplemented)
        << decoded.error().message;
    EXPECT_GT(decoded.error().message.size(), 10u);
  }
  // The size alone needs no pixels, but is never another one.
  const auto size = read_picture_size(file, {});
  if (decoded.ok()) {
    EXPECT_TRUE(size.ok());
    if (size.ok()) {
      EXPECT_EQ(*size, decoded->picture.size());
    }
  }
  return decoded;
}

bool is_missing(const Result<DecodedPicture>& decoded) {
  return !decoded.ok() && decoded.error().message.find("this build lacks") != std::string::npos;
}

// ---- damage ----

class DamagedPictures : public testing::TestWithParam<const char*> {};

TEST_P(DamagedPictures, ThatAreCutShortAreRefused) {
  const Bytes whole = read_golden(GetParam());
  const auto intact = decode_in_time(whole);
  if (is_missing(intact)) GTEST_SKIP() << intact.error().message;
  ASSERT_TRUE(intact.ok()) << intact.error().message;
  constexpr std::size_t kCuts = 24;
  for (std::size_t i = 0; i < kCuts; ++i) {
    const std::size_t n = whole.size() * i / kCuts;
    SCOPED_TRACE(n);
    const auto decoded = decode_in_time(Bytes(whole.begin(), whole.begin() + static_cast<int>(n)));
    // What ends behind the first frame has lost nothing that we show.
    if (decoded.ok()) {
      EXPECT_EQ(decoded->picture.rgb, intact->picture.rgb);
      EXPECT_TRUE(std::string(GetParam()).ends_with(".gif"));
    }
  }
}

TEST_P(DamagedPictures, WithWrongBitsAreRefusedOrStable) {
  const Bytes whole = read_golden(GetParam());
  const auto intact = decode_in_time(whole);
  if (is_missing(intact)) GTEST_SKIP() << intact.error().message;
  ASSERT_TRUE(intact.ok()) << intact.error().message;
  const bool has_checksums = std::string(GetParam()).ends_with(".png");
  std::mt19937 random(1234);
  for (int i = 0; i < 24; ++i) {
    Bytes damaged = whole;
    // Half of them in the headers, where few bits decide much.
    const std::size_t range = i % 2 ? damaged.size() : std::min<std::size_t>(damaged.size(), 64);
    const std::size_t at = random() % range;
    damaged[at] ^= std::byte{1} << (random() % 8);
    SCOPED_TRACE(at);
    const auto decoded = decode_in_time(damaged);
    if (!decoded.ok()) continue;
    if (has_checksums) {
      EXPECT_EQ(decoded->picture.rgb, intact->picture.rgb);
    }
    const auto again = decode_in_time(damaged);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->picture.rgb, decoded->picture.rgb);
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, DamagedPictures,
                         testing::Values("rgba.png", "adam7.png", "palette_trns.png",
                                         "jpeg_420.jpg", "jpeg_progressive.jpg", "jpeg_cmyk.jpg",
                                         "lossy.webp", "alpha_lossless.webp", "animated.gif",
                                         "palette.bmp"));

// ---- PNG ----

// A white row of RGB pixels.
std::string white_row(int width) {
  return '\0' + std::string(static_cast<std::size_t>(width) * 3, '\xff');
}

PngFile white_png() {
  PngFile png({.width = 2, .height = 1});
  png.add("IDAT", deflated(white_row(2)));
  return png;
}

void expect_white(const Bytes& file) {
  const auto decoded = decode_in_time(file);
  if (is_missing(decoded)) GTEST_SKIP() << decoded.error().message;
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(decoded->picture.rgb, std::vector<std::uint8_t>(6, 255));
}

void expect_refused(const Bytes& file, Code code, const std::string& message) {
  const auto decoded = decode_in_time(file);
  if (is_missing(decoded)) GTEST_SKIP() << decoded.error().message;
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code, code) << decoded.error().message;
  EXPECT_THAT(decoded.error().message, HasSubstr(message));
}

TEST(HostilePng, IsRefusedBeforeItsClaimedSizeIsTaken) {
  const auto claim = [](std::uint32_t width, std::uint32_t height) {
    PngFile png({.width = width, .height = height});
    png.add("IDAT", deflated("little"));
    return png.finish();
  };
  expect_refused(claim(65'535, 65'535), Code::ResourceExhausted,
                 "65535 × 65535 = 4294836225 pixels (limit 134217728)");
  expect_refused(claim(0x7fffffff, 1), Code::ResourceExhausted, "(limit of a side: 65535)");
  expect_refused(claim(0xffffffff, 1), Code::InvalidArgument, "expected at least 1 × 1");
  expect_refused(claim(0, 8), Code::InvalidArgument, "0 × 8 pixels");
  expect_refused(claim(16'384, 8'193), Code::ResourceExhausted, "134234112 pixels");
  expect_refused(claim(60'000, 2'000), Code::InvalidArgument, "damaged png picture: libpng: ");
}

TEST(HostilePng, WithLargeChunksIsRefusedOrSkipsThem) {
  const std::string large((std::size_t{8} << 20) + 1, 'a');
  for (const auto* type : {"iCCP", "zTXt", "iTXt", "eXIf"}) {
    PngFile png = white_png();
    png.add(type, large);
    expect_refused(png.finish(), Code::ResourceExhausted,
                   fmt::format("a {} chunk of 8388609 bytes (limit 8388608)", type));
  }
  PngFile unknown = white_png();
  unknown.add("abCd", large);
  expect_white(unknown.finish());
  // 64 MiB each once inflated, which nobody does.
  PngFile text({.width = 2, .height = 1});
  text.add("zTXt", "name\0\0"s + deflated(std::string(64 << 20, 'a')));
  text.add("iCCP", "name\0\0"s + deflated(std::string(64 << 20, 'a')));
  text.add("IDAT", deflated(white_row(2)));
  expect_white(text.finish());
}

TEST(HostilePng, WithDataBehindItsLastRowIsNotInflatedForLong) {
  PngFile png({.width = 2, .height = 1});
  png.add("IDAT", deflated(white_row(2) + std::string(128 << 20, '\0')));
  expect_refused(png.finish(), Code::InvalidArgument, "far behind the last row");
  PngFile little({.width = 2, .height = 1});
  little.add("IDAT", deflated(white_row(2) + "and a little more"));
  expect_white(little.finish());
}

TEST(HostilePng, IsRefusedForBrokenChunks) {
  const std::pair<const char*, Bytes> rows[] = {
      {"it does not begin with an IHDR", to_bytes("\x89PNG\r\n\x1a\n"s + png_chunk("IDAT", "abc"))},
      {"it has no IDAT", PngFile({}).finish()},
      {"libpng: ",
       [] {
         PngFile png({.bits = 3});
         png.add("IDAT", deflated("abc"));
         return png.finish();
       }()},
      {"libpng: ",
       [] {  // a palette picture without a palette
         PngFile png({.colour = 3});
         png.add("IDAT", deflated("\0\0"s));
         return png.finish();
       }()},
      {"libpng: ",
       [] {  // the picture is two rows long, its data one
         PngFile png({.width = 2, .height = 2});
         png.add("IDAT", deflated(white_row(2)));
         return png.finish();
       }()},
      {"libpng: tRNS",
       [] {  // more colours than the palette has
         PngFile png({.colour = 3});
         png.add("PLTE", "abc");
         png.add("tRNS", "abcdef");
         png.add("IDAT", deflated("\0\0"s));
         return png.finish();
       }()},
      {"libpng: ",
       [] {
         PngFile png({.width = 2, .height = 1});
         std::string chunk = png_chunk("IDAT", deflated(white_row(2)));
         chunk.back() ^= 1;
         png.add_raw(chunk);
         return png.finish();
       }()},
      {"libpng: ",
       [] {
         PngFile png({.width = 2, .height = 1});
         png.add("IHDR", "0123456789abc");
         png.add("IDAT", deflated(white_row(2)));
         return png.finish();
       }()},
      {"cut short in IDAT at byte 33", to_bytes([] {
         const auto whole = white_png().finish();
         return std::string(reinterpret_cast<const char*>(whole.data()), 46);
       }())},
  };
  for (const auto& [message, file] : rows) expect_refused(file, Code::InvalidArgument, message);
}

TEST(HostilePng, KeepsItsPixelsWhereWhatNobodyReadsIsBroken) {
  PngFile png = white_png();
  std::string chunk = png_chunk("tEXt", "a comment");
  chunk.back() ^= 1;
  png.add_raw(chunk);
  png.add("eXIf", "no TIFF at all");
  png.add("acTL", "short");
  expect_white(png.finish());
}

TEST(LargePictures, OfAHundredMegapixelsPass) {
  // One bit a pixel: white on the left.
  constexpr int kWidth = 12'000, kHeight = 9'000;
  std::string rows;
  for (int y = 0; y < kHeight; ++y) {
    rows += '\0' + std::string(kWidth / 16, '\xff') + std::string(kWidth / 16, '\0');
  }
  PngFile png({.width = kWidth, .height = kHeight, .bits = 1, .colour = 0});
  png.add("IDAT", deflated(rows));
  const auto decoded = decode_picture(png.finish(), {});
  if (is_missing(decoded)) GTEST_SKIP() << decoded.error().message;
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  const Picture& picture = decoded->picture;
  ASSERT_EQ(picture.size(), (PictureSize{kWidth, kHeight}));
  EXPECT_EQ(picture.rgb[0], 255);
  EXPECT_EQ(picture.rgb.back(), 0);
  const auto n_white = std::count(picture.rgb.begin(), picture.rgb.end(), std::uint8_t{255});
  EXPECT_EQ(n_white, std::int64_t{kWidth} * kHeight * 3 / 2);
}

// ---- JPEG ----

std::string jpeg_segment(char marker, const std::string& data) {
  return "\xff"s + marker + u16_be(static_cast<unsigned>(data.size()) + 2) + data;
}

// Three components of their own scans, all pixels grey. Each scan is one block of zeros.
Bytes jpeg_file(int n_scans, unsigned width = 8, unsigned height = 8, char precision = 8,
                char frame = '\xc0', const std::string& more = "") {
  const std::string one_code = "\1"s + std::string(15, '\0') + '\0';
  std::string file =
      "\xff\xd8"s + more + jpeg_segment('\xdb', '\0' + std::string(64, '\1')) +
      jpeg_segment(frame,
                   precision + u16_be(height) + u16_be(width) + "\3\1\x11\0\2\x11\0\3\x11\0"s) +
      jpeg_segment('\xc4', '\0' + one_code) + jpeg_segment('\xc4', '\x10' + one_code);
  for (int i = 0; i < n_scans; ++i) {
    file += jpeg_segment('\xda', "\1"s + static_cast<char>(i % 3 + 1) + "\0\0\x3f\0"s) + '\x3f';
  }
  return to_bytes(file + "\xff\xd9");
}

TEST(HostileJpeg, HasAHundredScansAtMost) {
  const auto decoded = decode_in_time(jpeg_file(100));
  if (is_missing(decoded)) GTEST_SKIP() << decoded.error().message;
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(decoded->picture.rgb, std::vector<std::uint8_t>(8 * 8 * 3, 128));
  expect_refused(jpeg_file(101), Code::ResourceExhausted, "scans (limit 100)");
  expect_refused(jpeg_file(5000), Code::ResourceExhausted, "scans (limit 100)");
}

TEST(HostileJpeg, IsRefusedForItsHeaders) {
  expect_refused(jpeg_file(3, 65'500, 65'500), Code::ResourceExhausted, "pixels (limit 134217728)");
  expect_refused(jpeg_file(3, 65'500, 2'000), Code::InvalidArgument, "libjpeg: ");
  expect_refused(jpeg_file(3, 65'500, 2'000, 8, '\xc2'), Code::InvalidArgument, "libjpeg: ");
  expect_refused(jpeg_file(3, 8, 0), Code::InvalidArgument, "libjpeg: ");
  expect_refused(jpeg_file(3, 8, 8, 12), Code::InvalidArgument, "libjpeg: ");
  expect_refused(jpeg_file(3, 8, 8, 8, '\xc3'), Code::InvalidArgument, "libjpeg: ");
  expect_refused(jpeg_file(0), Code::InvalidArgument, "libjpeg: ");
  expect_refused(to_bytes("\xff\xd8\xff\xe0 and no more"), Code::InvalidArgument, "libjpeg: ");
}

TEST(HostileJpeg, IsUprightWhereItsExifIsBroken) {
  const std::string exif = "Exif\0\0"s + "II*\0\xff\xff\xff\xff"s;
  std::string many;
  for (int i = 0; i < 300; ++i) many += jpeg_segment('\xe1', exif);
  const auto decoded = decode_in_time(jpeg_file(3, 8, 4, 8, '\xc0', many));
  if (is_missing(decoded)) GTEST_SKIP() << decoded.error().message;
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(decoded->picture.size(), (PictureSize{8, 4}));
}

// ---- GIF ----

struct GifFields {
  unsigned screen_width = 2, screen_height = 2;
  unsigned left = 0, top = 0, width = 2, height = 2;
  bool has_colours = true;
  std::string codes = "\x02\x05\x84\x0a"s;  // a code size, then blocks
  std::string tail = ";";
};

// Two colours, white and black; `n` pixels of the second one at codes of three bits.
std::string gif_codes(int n) {
  std::string bits;
  const auto put = [&](unsigned code) {
    for (int i = 0; i < 3; ++i) bits += static_cast<char>((code >> i) & 1);
  };
  for (int i = 0; i < n; ++i) {
    if (i % 2 == 0) put(4);  // clears the table, so that codes stay short
    put(1);
  }
  put(5);  // the end
  std::string bytes;
  for (std::size_t i = 0; i < bits.size(); i += 8) {
    unsigned byte = 0;
    for (std::size_t b = 0; b < 8 && i + b < bits.size(); ++b)
      byte |= static_cast<unsigned>(bits[i + b]) << b;
    bytes += static_cast<char>(byte);
  }
  return "\2"s + static_cast<char>(bytes.size()) + bytes + '\0';
}

Bytes gif_file(const GifFields& gif) {
  std::string file = "GIF89a" + u16_le(gif.screen_width) + u16_le(gif.screen_height) +
                     (gif.has_colours ? "\x80\0\0\xff\xff\xff\0\0\0"s : "\0\0\0"s);
  file += "," + u16_le(gif.left) + u16_le(gif.top) + u16_le(gif.width) + u16_le(gif.height) + '\0';
  return to_bytes(file + gif.codes + gif.tail);
}

TEST(HostileGif, ShowsWhatLiesOnItsScreen) {
  const auto decoded = decode_in_time(gif_file({.left = 1, .top = 1, .codes = gif_codes(4)}));
  if (is_missing(decoded)) GTEST_SKIP() << decoded.error().message;
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  std::vector<std::uint8_t> expected(12, 255);
  for (std::size_t i = 9; i < 12; ++i) expected[i] = 0;
  EXPECT_EQ(decoded->picture.rgb, expected);
}

TEST(HostileGif, IsRefused) {
  const std::string codes = gif_codes(4);
  expect_refused(gif_file({.left = 2, .codes = codes}), Code::InvalidArgument,
                 "its first frame at 2, 0 lies outside of its screen of 2 × 2");
  expect_refused(gif_file({.width = 0, .codes = codes}), Code::InvalidArgument, "has no pixels");
  expect_refused(gif_file({.screen_width = 0, .codes = codes}), Code::InvalidArgument,
                 "0 × 2 pixels");
  expect_refused(gif_file({.width = 65'535, .height = 65'535, .codes = codes}),
                 Code::ResourceExhausted, "a frame of 65535 × 65535");
  expect_refused(gif_file({.screen_width = 65'535, .screen_height = 65'535, .codes = codes}),
                 Code::ResourceExhausted, "pixels (limit 134217728)");
  expect_refused(gif_file({.has_colours = false, .codes = codes}), Code::InvalidArgument,
                 "no colour map");
  expect_refused(gif_file({.codes = codes, .tail = "?"}), Code::InvalidArgument,
                 "unknown block 0x3f");
  expect_refused(gif_file({.codes = gif_codes(3)}), Code::InvalidArgument, "giflib: ");
  expect_refused(gif_file({.codes = "\x0d\1\0\0"s}), Code::InvalidArgument, "giflib: ");
  expect_refused(gif_file({.codes = "\2\xff\0"s, .tail = ""}), Code::InvalidArgument, "cut short");
  expect_refused(to_bytes("GIF89a" + u16_le(2) + u16_le(2) + "\0\0\0;"s), Code::InvalidArgument,
                 "it has no frame");
}

// ---- the others ----

TEST(HostileWebp, IsRefused) {
  const auto riff = [](const std::string& chunks) {
    return to_bytes("RIFF" + u32_le(static_cast<std::uint32_t>(chunks.size()) + 4) + "WEBP" +
                    chunks);
  };
  const std::string huge_canvas = "VP8X" + u32_le(10) + "\0\0\0\0"s + "\xff\xff\xff\xff\xff\xff"s;
  expect_refused(riff(huge_canvas), Code::InvalidArgument, "damaged webp picture: ");
  expect_refused(riff("VP8 " + u32_le(0xfffffff0)), Code::InvalidArgument,
                 "damaged webp picture: ");
  // A lossless header of 16384 × 16384 pixels.
  expect_refused(riff("VP8L" + u32_le(6) + "\x2f\xff\xff\xff\x0f\0"s), Code::ResourceExhausted,
                 "268435456 pixels (limit 134217728)");
  expect_refused(riff(""), Code::InvalidArgument, "damaged webp picture: ");
}

TEST(HostileHeif, IsRefused) {
  for (const auto* brand : {"heic", "avif", "mif1"}) {
    const std::string file =
        u32_be(20) + "ftyp" + brand + u32_be(0) + brand + u32_be(0xffffff) + "meta";
    const auto decoded = decode_in_time(to_bytes(file));
    EXPECT_FALSE(decoded.ok());
  }
}

TEST(HostileFiles, OfNoFormatAreRefused) {
  std::mt19937 random(99);
  const std::string starts[] = {"",
                                "\x89PNG\r\n\x1a\n"s,
                                "\xff\xd8\xff"s,
                                "GIF89a",
                                "RIFF\x40\0\0\0WEBP"s,
                                "BM\0\0\0\0\0\0\0\0"s,
                                "\0\0\0\x18"s + "ftypheic",
                                "\0\0\0\x18"s + "ftypavif"};
  for (const auto& start : starts) {
    for (int i = 0; i < 12; ++i) {
      std::string file = start;
      for (int n = 0; n < 40 * i; ++n) file += static_cast<char>(random());
      EXPECT_FALSE(decode_in_time(to_bytes(file)).ok()) << start << i;
    }
  }
}

// The largest sound picture above takes a third of a gigabyte, and so do the files made for it.
class BoundedMemory : public testing::Environment {
 public:
  void TearDown() override {
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    EXPECT_LT(usage.ru_maxrss, 1536 << 10);  // KiB
  }
};
[[maybe_unused]] const auto* const kBoundedMemory =
    testing::AddGlobalTestEnvironment(new BoundedMemory);

}  // namespace
}  // namespace fourfold
