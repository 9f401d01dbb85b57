#include "formats/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "formats/test_files.h"

namespace fourfold {
namespace {

using namespace testing_files;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

Result<GgufFile> parse(const Bytes& bytes) { return GgufFile::parse(in_memory(bytes, "m.gguf")); }

GgufBuilder small_file() {
  return GgufBuilder()
      .string("general.architecture", "gemma4")
      .u32("n", 7)
      .numbers<std::int32_t>("counts", kGgufI32, {1, -2, 3})
      .strings("tokens", {"<pad>", "", "▁the"})
      .tensor("a.weight", {4, 2})
      .tensor("b.weight", {});
}

TEST(Gguf, ReadsScalarsOfEveryType) {
  const auto gguf = parse(GgufBuilder()
                              .key("u8", kGgufU8, ByteWriter().number<std::uint8_t>(255))
                              .key("u16", kGgufU16, ByteWriter().number<std::uint16_t>(65535))
                              .key("u64", kGgufU64, ByteWriter().number<std::uint64_t>(~0ull))
                              .key("i64", kGgufI64, ByteWriter().number<std::int64_t>(-5))
                              .key("f64", kGgufF64, ByteWriter().number(0.25))
                              .f32("f32", 1.5f)
                              .boolean("yes", true)
                              .string("text", "ü")
                              .build());
  ASSERT_TRUE(gguf.ok()) << gguf.error().message;
  const auto& keys = gguf->metadata();
  EXPECT_EQ(*keys.require_u64("u8"), 255u);
  EXPECT_EQ(*keys.require_u64("u16"), 65535u);
  EXPECT_EQ(*keys.require_u64("u64"), ~std::uint64_t{0});
  EXPECT_EQ(std::get<std::int64_t>(*keys.find("i64")), -5);
  EXPECT_EQ(*keys.require_f64("f64"), 0.25);
  EXPECT_EQ(*keys.require_f64("f32"), 1.5);
  EXPECT_EQ(**keys.find_bool("yes"), true);
  EXPECT_EQ(*keys.require_string("text"), "ü");
  EXPECT_EQ(keys.entries().front().first, "u8");
  EXPECT_EQ(keys.entries().back().first, "text");
}

TEST(Gguf, ReadsArraysAndTensors) {
  const auto gguf = parse(small_file().build());
  ASSERT_TRUE(gguf.ok()) << gguf.error().message;
  EXPECT_THAT(**gguf->metadata().find_ints("counts"), ElementsAre(1, -2, 3));
  EXPECT_THAT(**gguf->metadata().find_strings("tokens"), ElementsAre("<pad>", "", "▁the"));
  EXPECT_THAT(**gguf->metadata().find_ints("n"), ElementsAre(7));
  ASSERT_EQ(gguf->tensors().size(), 2u);
  const auto& tensor = gguf->tensors()[0];
  EXPECT_EQ(tensor.name, "a.weight");
  EXPECT_THAT(tensor.shape, ElementsAre(2, 4));
  EXPECT_EQ(tensor.offset % 32, 0u);
  EXPECT_EQ(tensor.bytes().size(), 32u);
  EXPECT_EQ(gguf->tensors()[1].n_elements(), 1);
  EXPECT_THAT(gguf->warnings(), ElementsAre());
}

TEST(Gguf, AcceptsVersion2AndAFileWithoutTensors) {
  GgufBuilder builder;
  builder.version = 2;
  builder.u32("n", 7);
  const auto gguf = parse(builder.build());
  ASSERT_TRUE(gguf.ok()) << gguf.error().message;
  EXPECT_EQ(gguf->version(), 2u);
}

TEST(Gguf, HonoursTheAlignmentOfTheFile) {
  GgufBuilder builder;
  builder.alignment = 256;
  const auto gguf =
      parse(builder.u32("general.alignment", 256).tensor("a", {1}).tensor("b", {1}).build());
  ASSERT_TRUE(gguf.ok()) << gguf.error().message;
  EXPECT_EQ(gguf->tensors()[1].offset % 256, 0u);
}

TEST(Gguf, MistypedKeyIsNamed) {
  const auto gguf = parse(small_file().build());
  ASSERT_TRUE(gguf.ok());
  const auto& keys = gguf->metadata();
  EXPECT_EQ(keys.find_u64("tokens").error().message,
            "key \"tokens\" is an array of strings, expected an integer");
  EXPECT_EQ(keys.require_string("n").error().message, "key \"n\" is an integer, expected a string");
  EXPECT_EQ(keys.require_f64("missing").error().message, "key \"missing\" is missing");
  EXPECT_EQ(keys.find_bool("n").error().code, Code::InvalidArgument);
  EXPECT_EQ(*keys.find_strings("missing"), nullptr);
  EXPECT_EQ(*keys.find_u64("missing"), std::nullopt);
}

TEST(Gguf, WarnsOfHarmlessOddities) {
  auto bytes = GgufBuilder()
                   .tensor({.name = "a", .ne = {1}, .offset = -1})
                   .tensor({.name = "hole", .ne = {64}})
                   .tensor({.name = std::string(64, 'n'), .ne = {1}, .offset = 320})
                   .build();
  bytes.resize(bytes.size() + 96);
  const auto gguf = parse(bytes);
  ASSERT_TRUE(gguf.ok()) << gguf.error().message;
  EXPECT_THAT(gguf->warnings(), ElementsAre(HasSubstr("name of 64 bytes"), HasSubstr("1 gap"),
                                            HasSubstr("bytes after the last tensor")));
}

TEST(Gguf, EveryTruncationIsRefusedByFileAndOffset) {
  const auto whole = small_file().build();
  for (std::size_t size = 0; size < whole.size() - 28; ++size) {
    const auto gguf = parse(Bytes(whole.begin(), whole.begin() + static_cast<long>(size)));
    ASSERT_FALSE(gguf.ok()) << size;
    EXPECT_EQ(gguf.error().code, Code::DataLoss) << size;
    EXPECT_THAT(gguf.error().message, AllOf(HasSubstr("m.gguf: "), HasSubstr(" at offset ")));
  }
  // The last tensor has one value; its padding may be missing.
  EXPECT_TRUE(parse(Bytes(whole.begin(), whole.end() - 28)).ok());
}

TEST(Gguf, TruncationAtASectionBoundaryNamesTheNextSection) {
  std::vector<std::size_t> boundaries;
  const auto whole = small_file().build(&boundaries);
  const auto message_at = [&](std::size_t size) {
    return parse(Bytes(whole.begin(), whole.begin() + static_cast<long>(size))).error().message;
  };
  ASSERT_EQ(boundaries.size(), 5u);  // header, keys, two tensors, padding
  EXPECT_THAT(message_at(boundaries[0]), HasSubstr("2 tensors and 4 keys need at least"));
  EXPECT_THAT(message_at(boundaries[1]), HasSubstr("tensor 0 at offset"));
  EXPECT_THAT(message_at(boundaries[2]), HasSubstr("tensor 1 at offset"));
  EXPECT_THAT(message_at(boundaries[3]), HasSubstr("the file ends before the data"));
  EXPECT_THAT(message_at(boundaries[4]), HasSubstr("tensor \"a.weight\" at offset"));
}

struct Hostile {
  const char* what;
  Bytes bytes;
  Code code;
  std::vector<const char*> parts;  // of the message
};

ByteWriter array(std::uint32_t type, std::uint64_t count) {
  return ByteWriter().number(type).number(count);
}

Bytes with(void (*change)(GgufBuilder&)) {
  GgufBuilder builder = small_file();
  change(builder);
  return builder.build();
}

Bytes with_tensor(const GgufBuilder::Tensor& tensor) {
  return GgufBuilder().tensor("first", {8}).tensor(tensor).build();
}

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

std::vector<Hostile> hostile_files() {
  const auto data_loss = Code::DataLoss;
  const auto unimplemented = Code::Unimplemented;
  return {
      {"WrongMagic",
       with([](auto& b) { b.magic = "GGML"; }),
       data_loss,
       {"header at offset 0: magic \"GGML\", expected \"GGUF\""}},
      {"Empty", {}, data_loss, {"header at offset 0: file of 0 bytes"}},
      {"Version1",
       with([](auto& b) { b.version = 1; }),
       unimplemented,
       {"header at offset 4: GGUF version 1 (expected 2 or 3)"}},
      {"Version4", with([](auto& b) { b.version = 4; }), unimplemented, {"GGUF version 4"}},
      {"BigEndian",
       with([](auto& b) { b.version = 0x03000000; }),
       unimplemented,
       {"offset 4: big-endian file"}},
      {"TooManyTensors",
       with([](auto& b) { b.claimed_tensors = 65537; }),
       data_loss,
       {"offset 8: 65537 tensors (at most 65536)"}},
      {"TooManyKeys",
       with([](auto& b) { b.claimed_keys = 1ll << 40; }),
       data_loss,
       {"offset 16: 1099511627776 keys (at most 65536)"}},
      {"CountsBeyondTheFile",
       with([](auto& b) { b.claimed_keys = 60000; }),
       data_loss,
       {"2 tensors and 60000 keys need at least 840074 bytes"}},

      {"EmptyKey", GgufBuilder().u32("", 1).build(), data_loss, {"key 0 at offset 24: empty name"}},
      {"KeyWithNul",
       GgufBuilder().u32(std::string_view("a\0b", 3), 1).build(),
       data_loss,
       {"name \"a\\x00b\" holds a control character"}},
      {"KeyWithEscape", GgufBuilder().u32("\x1b[2Jx", 1).build(), data_loss, {"\"\\x1b[2Jx\""}},
      {"KeyNotUtf8",
       GgufBuilder().u32("k\xff", 1).build(),
       data_loss,
       {"name \"k\\xff\" is not UTF-8"}},
      {"KeyTooLong",
       GgufBuilder().u32(std::string(65536, 'k'), 1).build(),
       data_loss,
       {"string of 65536 bytes (at most 65535)"}},
      {"DuplicateKey",
       GgufBuilder().u32("x.y", 1).u32("x.y", 1).build(),
       data_loss,
       {"key \"x.y\" at offset", "duplicate key"}},
      {"KeyLengthOverflow",
       GgufBuilder().key("a", kGgufString, ByteWriter().number(kHuge).zeros(64)).build(),
       data_loss,
       {"key \"a\" at offset", "string of 18446744073709551615 bytes"}},
      {"StringBeyondTheFile",
       GgufBuilder().key("a", kGgufString, ByteWriter().number<std::uint64_t>(99).zeros(9)).build(),
       data_loss,
       {"string of 99 bytes, the file ends after 9"}},
      {"StringTooLong",
       GgufBuilder()
           .key("a", kGgufString, ByteWriter().number<std::uint64_t>((16u << 20) + 1).zeros(9))
           .build(),
       data_loss,
       {"(at most 16777216)"}},
      {"UnknownValueType",
       GgufBuilder().key("a", 13, ByteWriter().zeros(8)).build(),
       data_loss,
       {"key \"a\" at offset 33: unknown value type 13 (expected 0 to 12)"}},
      {"BadBool",
       GgufBuilder().key("a", kGgufBool, ByteWriter().number<std::uint8_t>(2)).build(),
       data_loss,
       {"key \"a\" at offset 37: boolean byte 2"}},
      {"BadBoolInArray",
       GgufBuilder().numbers<std::uint8_t>("a", kGgufBool, {0, 1, 255}).build(),
       data_loss,
       {"key \"a\" at offset 51: boolean byte 255"}},
      {"ArrayOfArrays",
       GgufBuilder().key("a", kGgufArray, array(kGgufArray, 0)).build(),
       data_loss,
       {"key \"a\" at offset", "array of arrays"}},
      {"UnknownElementType",
       GgufBuilder().key("a", kGgufArray, array(77, 0)).build(),
       data_loss,
       {"unknown element type 77"}},
      {"ArrayCountOverflow",
       GgufBuilder().key("a", kGgufArray, array(kGgufU64, kHuge)).build(),
       data_loss,
       {"array of 18446744073709551615 elements (at most 67108864)"}},
      {"ArrayBeyondTheFile",
       GgufBuilder().key("a", kGgufArray, array(kGgufU64, 9)).build(),
       data_loss,
       {"array of 9 elements needs 72 bytes, the file ends after 0"}},
      {"StringArrayBeyondTheFile",
       GgufBuilder().key("a", kGgufArray, array(kGgufString, 60'000'000)).build(),
       data_loss,
       {"array of 60000000 elements needs 480000000 bytes"}},

      {"AlignmentOfAnotherType",
       GgufBuilder().string("general.alignment", "32").build(),
       data_loss,
       {"key \"general.alignment\" at offset", "value type 8, expected 4 (u32)"}},
      {"AlignmentZero",
       GgufBuilder().u32("general.alignment", 0).build(),
       data_loss,
       {"alignment 0 (expected a power of two up to 1048576)"}},
      {"AlignmentNoPowerOfTwo",
       GgufBuilder().u32("general.alignment", 24).build(),
       data_loss,
       {"alignment 24"}},
      {"AlignmentHuge",
       GgufBuilder().u32("general.alignment", 1u << 21).build(),
       data_loss,
       {"alignment 2097152"}},

      {"EmptyTensorName",
       with_tensor({.name = "", .ne = {8}}),
       data_loss,
       {"tensor 1 at offset", "empty name"}},
      {"TensorNameTooLong",
       with_tensor({.name = std::string(128, 't'), .ne = {8}}),
       data_loss,
       {"string of 128 bytes (at most 127)"}},
      {"TensorNameWithControl",
       with_tensor({.name = "a\nb", .ne = {8}}),
       data_loss,
       {"name \"a\\x0ab\" holds a control character"}},
      {"TensorNameWithC1Control",
       with_tensor({.name = "a\xc2\x9b", .ne = {8}}),
       data_loss,
       {"holds a control character"}},
      {"DuplicateTensor",
       with_tensor({.name = "first", .ne = {8}}),
       data_loss,
       {"tensor \"first\" at offset", "duplicate tensor name"}},
      {"FiveDimensions",
       with_tensor({.name = "t", .ne = {1, 1, 1, 1, 1}}),
       data_loss,
       {"tensor \"t\" at offset", "5 dimensions (at most 4)"}},
      {"ZeroDimension", with_tensor({.name = "t", .ne = {8, 0}}), data_loss, {"dimension 1 is 0"}},
      {"ProductOverflow",
       with_tensor({.name = "t", .ne = {1ull << 32, 1ull << 32}, .size_bytes = 0}),
       data_loss,
       {"dimension 1 is 4294967296, more than 1099511627776 elements"}},
      {"ProductWrapsToSmall",
       with_tensor({.name = "t", .ne = {1ull << 40, 1ull << 24, 4}, .size_bytes = 0}),
       data_loss,
       {"dimension 1 is 16777216, more than"}},
      {"NegativeDimension",
       with_tensor({.name = "t", .ne = {kHuge}, .size_bytes = 0}),
       data_loss,
       {"dimension 0 is 18446744073709551615"}},
      {"UnknownType",
       with_tensor({.name = "t", .ne = {8}, .type = 77}),
       data_loss,
       {"tensor \"t\" at offset", "unknown tensor type 77"}},
      {"NegativeType",
       with_tensor({.name = "t", .ne = {8}, .type = 0xFFFFFFFF}),
       data_loss,
       {"unknown tensor type 4294967295"}},
      {"RetiredType",
       with_tensor({.name = "t", .ne = {32}, .type = 31}),
       unimplemented,
       {"tensor \"t\" at offset", "type 31 (Q4_0_4_4) was withdrawn"}},
      {"ActivationType",
       with_tensor({.name = "t", .ne = {32}, .type = 9}),
       data_loss,
       {"type 9 (Q8_1) is for activations"}},
      {"IkType",
       with_tensor({.name = "t", .ne = {256}, .type = 144}),
       unimplemented,
       {"type 144 (IQ4_KS) exists only in ik_llama.cpp"}},
      {"IkRowInterleavedType",
       with_tensor({.name = "t", .ne = {256}, .type = 339}),
       unimplemented,
       {"type 339 (IQ4_K_R4) exists only in ik_llama.cpp"}},
      {"RowNotWholeBlocks",
       with_tensor({.name = "t", .ne = {33}, .type = kGgufTypeQ40}),
       data_loss,
       {"rows of 33 values do not fill blocks of 32 (Q4_0)"}},
      {"ScalarOfABlockType",
       with_tensor({.name = "t", .ne = {}, .type = kGgufTypeQ40}),
       data_loss,
       {"rows of 1 values do not fill blocks of 32"}},
      {"OffsetUnaligned",
       with_tensor({.name = "t", .ne = {1}, .offset = 33}),
       data_loss,
       {"data offset 33 is not a multiple of the alignment 32"}},
      {"OffsetOutside",
       with_tensor({.name = "t", .ne = {8}, .offset = 32}),
       data_loss,
       {"tensor \"t\" at offset", "data offset 32 + 32 bytes is outside the file"}},
      {"OffsetOverflow",
       with_tensor({.name = "t", .ne = {8}, .offset = -32 & INT64_MAX}),
       data_loss,
       {"is outside the file"}},
      {"SizeOverflow",
       with_tensor({.name = "t", .ne = {1ull << 40}, .size_bytes = 0}),
       data_loss,
       {"4398046511104 bytes is outside the file"}},
      {"Overlap",
       with_tensor({.name = "t", .ne = {8}, .offset = 0}),
       data_loss,
       {"tensor \"t\" at offset", "overlaps tensor \"first\""}},
  };
}

class HostileGguf : public testing::TestWithParam<Hostile> {};

TEST_P(HostileGguf, IsRefused) {
  const auto gguf = parse(GetParam().bytes);
  ASSERT_FALSE(gguf.ok());
  EXPECT_EQ(code_name(gguf.error().code), code_name(GetParam().code));
  EXPECT_THAT(gguf.error().message, HasSubstr("m.gguf: "));
  for (const auto* part : GetParam().parts) EXPECT_THAT(gguf.error().message, HasSubstr(part));
}

INSTANTIATE_TEST_SUITE_P(Files, HostileGguf, testing::ValuesIn(hostile_files()),
                         [](const auto& row) { return row.param.what; });

TEST(Gguf, MessageCutsALongStringFromTheFile) {
  const std::string key(60000, 'k');
  const auto gguf = parse(GgufBuilder().u32(key, 1).u32(key, 1).build());
  ASSERT_FALSE(gguf.ok());
  EXPECT_LT(gguf.error().message.size(), 300u);
}

}  // namespace
}  // namespace fourfold
