#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <string>

#include "formats/test_files.h"

namespace fourfold {
namespace {

using namespace testing_files;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

Result<std::vector<TensorInfo>> read(std::string_view header, std::size_t n_data_bytes) {
  return read_safetensors(in_memory(safetensors_bytes(header, n_data_bytes), "m.safetensors"));
}

TEST(Safetensors, ReadsTensorsInTheOrderOfTheirData) {
  const auto tensors = read(R"({"__metadata__":{"format":"pt"},)"
                            R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[2,26]},)"
                            R"("z":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}   )",
                            26);
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  ASSERT_EQ(tensors->size(), 2u);
  EXPECT_EQ((*tensors)[0].name, "z");
  EXPECT_EQ((*tensors)[0].n_elements(), 1);
  EXPECT_EQ((*tensors)[1].dtype, DType::F32);
  EXPECT_THAT((*tensors)[1].shape, ElementsAre(2, 3));
  EXPECT_EQ((*tensors)[1].bytes().size(), 24u);
}

TEST(Safetensors, AcceptsAnEmptyTensorAndNoTensor) {
  EXPECT_TRUE(read("{}", 0).ok());
  const auto tensors = read(R"({"e":{"dtype":"U8","shape":[4,0],"data_offsets":[0,0]}})", 0);
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  EXPECT_EQ((*tensors)[0].n_elements(), 0);
}

TEST(Safetensors, RoundTripKeepsEveryTensor) {
  const TempFolder folder;
  const std::array<float, 6> floats = {1, -2, 3, 4, 5, 6};
  const std::array<std::int64_t, 1> scalar = {-7};
  ASSERT_TRUE(write_safetensors(folder.file("out.safetensors"),
                                {{.name = "w\"ü",
                                  .dtype = DType::F32,
                                  .shape = {3, 2},
                                  .bytes = std::as_bytes(std::span(floats))},
                                 {.name = "n",
                                  .dtype = DType::I64,
                                  .shape = {},
                                  .bytes = std::as_bytes(std::span(scalar))}})
                  .ok());
  const auto file = MappedFile::open(folder.file("out.safetensors"));
  ASSERT_TRUE(file.ok());
  const auto tensors = read_safetensors(*file);
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  EXPECT_EQ((*tensors)[0].name, "w\"ü");
  EXPECT_EQ((*tensors)[0].offset % 8, 0u);
  EXPECT_EQ(std::memcmp((*tensors)[0].bytes().data(), floats.data(), sizeof floats), 0);
  EXPECT_EQ(std::memcmp((*tensors)[1].bytes().data(), scalar.data(), sizeof scalar), 0);
}

TEST(Safetensors, WriterRefusesWhatItCannotStoreAndLeavesNothingBehind) {
  const TempFolder folder;
  const std::array<float, 2> floats = {};
  const auto bytes = std::as_bytes(std::span(floats));
  const auto path = folder.file("out.safetensors");
  const auto wrong_size = write_safetensors(path, {{.name = "w", .shape = {3}, .bytes = bytes}});
  const auto twice = write_safetensors(path, {{.name = "w", .shape = {2}, .bytes = bytes},
                                              {.name = "w", .shape = {2}, .bytes = bytes}});
  const auto blocks = write_safetensors(path, {{.name = "w", .dtype = DType::Q4_0, .shape = {32}}});
  EXPECT_THAT(wrong_size.error().message, HasSubstr("\"w\": 8 bytes, shape [3] of F32 needs 12"));
  EXPECT_THAT(twice.error().message, HasSubstr("written twice"));
  EXPECT_THAT(blocks.error().message, HasSubstr("Q4_0 cannot be stored"));
  EXPECT_EQ(write_safetensors(folder.file("none/x"), {}).error().code, Code::NotFound);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

struct Hostile {
  const char* what;
  Bytes bytes;
  Code code;
  const char* message;
};

Hostile header(const char* what, std::string_view text, std::size_t n_data_bytes,
               const char* message, Code code = Code::DataLoss) {
  return {what, safetensors_bytes(text, n_data_bytes), code, message};
}

Hostile entry(const char* what, std::string_view text, std::size_t n_data_bytes,
              const char* message, Code code = Code::DataLoss) {
  return header(what, "{\"w\":" + std::string(text) + "}", n_data_bytes, message, code);
}

Bytes with_length(std::uint64_t length, std::string_view text) {
  return ByteWriter().number(length).raw(text).bytes;
}

std::vector<Hostile> hostile_files() {
  return {
      {"Empty", {}, Code::DataLoss, "header at offset 0: file of 0 bytes"},
      {"SevenBytes", Bytes(7), Code::DataLoss, "file of 7 bytes"},
      {"LengthZero", Bytes(16), Code::DataLoss, "length 0 (expected 2 to 100000000)"},
      {"LengthHuge", with_length(~0ull, "{}"), Code::DataLoss, "length 18446744073709551615"},
      {"LengthBeyondTheFile", with_length(3, "{}"), Code::DataLoss,
       "length 3, the file ends after 2"},
      header("NotAnObject", "[] ", 0, "header at offset 8: begins with \"[\""),
      header("NotJson", "{\"a\":", 0, "header: offset 5: unexpected end of input"),
      header("BadUtf8", "{\"\xff\":1}", 0, "ill-formed UTF-8"),
      header("Deep", "{\"a\":[[[[[[1]]]]]]}", 0, "nested too deeply"),
      header("DuplicateName",
             R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
             R"("w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
             2, "duplicate key \"w\""),
      header("EmptyName", R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
             "tensor with an empty name"),
      header("ControlInName", R"({"a\u001b[2J":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1,
             "\"a\\x1b[2J\": name holds a control character"),
      header("MetadataNotStrings", R"({"__metadata__":{"n":1}})", 0,
             "__metadata__ is not a map of strings"),
      entry("EntryNotAnObject", "7", 0, "tensor \"w\": is not an object"),
      entry("NoDtype", R"({"shape":[],"data_offsets":[0,4]})", 4, "dtype is not a string"),
      entry("UnknownDtype", R"({"dtype":"F4","shape":[2],"data_offsets":[0,1]})", 1,
            "tensor \"w\": dtype \"F4\" is not supported", Code::Unimplemented),
      entry("BlockTypeAsDtype", R"({"dtype":"Q4_0","shape":[32],"data_offsets":[0,18]})", 18,
            "dtype \"Q4_0\" is not supported", Code::Unimplemented),
      entry("NegativeDim", R"({"dtype":"U8","shape":[-1],"data_offsets":[0,1]})", 1,
            "shape holds something else than whole numbers"),
      entry("FractionalOffset", R"({"dtype":"U8","shape":[1],"data_offsets":[0,1.0]})", 1,
            "data_offsets holds something else than whole numbers"),
      entry("HugeNumber", R"({"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]})",
            1, "integer beyond 64 bits"),
      entry("ManyDims", R"({"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]})", 1,
            "shape has 9 numbers (at most 8)"),
      entry("ThreeOffsets", R"({"dtype":"U8","shape":[1],"data_offsets":[0,1,2]})", 1,
            "data_offsets are not [begin, end]"),
      entry("Backwards", R"({"dtype":"U8","shape":[1],"data_offsets":[1,0]})", 1,
            "data_offsets [1, 0] run backwards"),
      entry("ProductOverflow",
            R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})", 0,
            "more than 1099511627776 elements"),
      entry("EmptyWithHugeProduct",
            R"({"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]})", 0,
            "more than 1099511627776 elements"),
      entry("SizeMismatch", R"({"dtype":"F32","shape":[2,3],"data_offsets":[0,20]})", 20,
            "data_offsets [0, 20] hold 20 bytes, shape [2, 3] of F32 needs 24"),
      entry("HoleAtTheStart", R"({"dtype":"U8","shape":[1],"data_offsets":[1,2]})", 2,
            "begins at data offset 1, expected 0 (hole)"),
      entry("OutsideTheFile", R"({"dtype":"U8","shape":[9],"data_offsets":[0,9]})", 8,
            "ends at data offset 9, the file has 8 bytes of data"),
      entry(
          "OffsetOverflow",
          R"({"dtype":"U8","shape":[1],"data_offsets":[18446744073709551614,18446744073709551615]})",
          1, "begins at data offset 18446744073709551614, expected 0 (hole)"),
      entry("TrailingBytes", R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})", 2,
            "1 bytes after the last tensor"),
      header("Overlap",
             R"({"v":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
             R"("w":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
             6, "tensor \"w\": begins at data offset 2, expected 4 (overlap)"),
      header("Hole",
             R"({"v":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
             R"("w":{"dtype":"U8","shape":[4],"data_offsets":[6,10]}})",
             10, "tensor \"w\": begins at data offset 6, expected 4 (hole)"),
  };
}

class HostileSafetensors : public testing::TestWithParam<Hostile> {};

TEST_P(HostileSafetensors, IsRefused) {
  const auto tensors = read_safetensors(in_memory(GetParam().bytes, "m.safetensors"));
  ASSERT_FALSE(tensors.ok());
  EXPECT_EQ(code_name(tensors.error().code), code_name(GetParam().code));
  EXPECT_THAT(tensors.error().message,
              AllOf(HasSubstr("m.safetensors: "), HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(Files, HostileSafetensors, testing::ValuesIn(hostile_files()),
                         [](const auto& row) { return row.param.what; });

TEST(Safetensors, EveryTruncationIsRefused) {
  const auto whole =
      safetensors_bytes(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<long>(size));
    const auto tensors = read_safetensors(in_memory(part));
    ASSERT_FALSE(tensors.ok()) << size;
    EXPECT_EQ(tensors.error().code, Code::DataLoss) << size;
  }
}

}  // namespace
}  // namespace fourfold
