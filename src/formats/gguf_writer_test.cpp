#include "formats/gguf_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "formats/gguf.h"
#include "formats/test_files.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing_files::TempFolder;

GgufWriter small_writer() {
  GgufWriter writer;
  writer.add_string("general.architecture", "gemma4");
  writer.add_u32("a.count", 7);
  writer.add_f32("a.eps", 0.5f);
  writer.add_bool("a.flag", true);
  const std::int32_t widths[] = {-1, 2, 3};
  writer.add_ints("a.widths", widths);
  writer.add_i32("a.least", -7);
  const float scores[] = {0.5f, -1.0f};
  writer.add_floats("a.scores", scores);
  const std::string_view pieces[] = {"one", ""};
  writer.add_strings("a.pieces", pieces);
  writer.add_bools("a.pattern", {true, false});
  writer.add_tensor("norm", DType::F32, {3});
  writer.add_tensor("matrix", DType::Q4_0, {2, 64});
  return writer;
}

// Tensor i is filled with the byte i + 1, in two pieces.
Status fill(const GgufWriter& writer, const GgufWriter::Tensor& tensor,
            const GgufWriter::Sink& sink) {
  const auto index = &tensor - writer.tensors().data();
  const std::vector<std::byte> bytes(tensor.size_bytes, static_cast<std::byte>(index + 1));
  TRY(sink(std::span(bytes).first(5)));
  return sink(std::span(bytes).subspan(5));
}

TEST(GgufWriter, WritesWhatTheReaderReads) {
  const TempFolder folder;
  const GgufWriter writer = small_writer();
  const auto path = folder.file("model.gguf");
  const auto written = writer.write_file(
      path, [&](const auto& t, const auto& sink) { return fill(writer, t, sink); });
  ASSERT_TRUE(written.ok()) << written.error().message;

  const auto file = MappedFile::open(path);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->size_bytes(), writer.size_bytes());
  const auto gguf = GgufFile::parse(*file);
  ASSERT_TRUE(gguf.ok()) << gguf.error().message;
  EXPECT_EQ(gguf->version(), 3u);
  const GgufMetadata& keys = gguf->metadata();
  EXPECT_EQ(*keys.require_string("general.architecture"), "gemma4");
  EXPECT_EQ(*keys.require_u64("a.count"), 7u);
  EXPECT_EQ(*keys.require_f64("a.eps"), 0.5);
  EXPECT_EQ(*keys.find_bool("a.flag"), true);
  EXPECT_THAT(**keys.find_ints("a.widths"), ElementsAre(-1, 2, 3));
  EXPECT_THAT(**keys.find_ints("a.least"), ElementsAre(-7));
  const auto& scores = std::get<GgufNumberArray>(*keys.find("a.scores"));
  ASSERT_EQ(scores.count, 2u);
  EXPECT_EQ(scores.float_at(1), -1.0);
  EXPECT_THAT(**keys.find_strings("a.pieces"), ElementsAre("one", ""));
  EXPECT_THAT(**keys.find_ints("a.pattern"), ElementsAre(1, 0));
  EXPECT_EQ(keys.entries().back().first, "a.pattern");  // in the order added

  ASSERT_EQ(gguf->tensors().size(), 2u);
  const TensorInfo& matrix = gguf->tensors()[1];
  EXPECT_EQ(matrix.name, "matrix");
  EXPECT_EQ(matrix.dtype, DType::Q4_0);
  EXPECT_THAT(matrix.shape, ElementsAre(2, 64));
  ASSERT_EQ(matrix.bytes().size(), 2u * 2u * 18u);
  for (const std::byte b : matrix.bytes()) EXPECT_EQ(b, std::byte{2});
}

TEST(GgufWriter, CopiesValuesOfEveryType) {
  const auto builder = testing_files::GgufBuilder()
                           .u32("b.u32", 1)
                           .boolean("b.flag", true)
                           .string("b.text", "x")
                           .numbers<std::uint64_t>("b.u64s", testing_files::kGgufU64, {1, 2})
                           .strings("b.texts", {"y", "zz"});
  const auto source = GgufFile::parse(testing_files::in_memory(builder.build()));
  ASSERT_TRUE(source.ok()) << source.error().message;
  const auto& entries = source->metadata().entries();
  GgufWriter writer;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    writer.add_copy(entries[i].first, source->metadata().value_bytes(i));
  }
  const auto copy = writer.header();
  const auto expected = builder.build();
  ASSERT_GE(copy.size(), expected.size());  // padded
  EXPECT_EQ(std::memcmp(copy.data(), expected.data(), expected.size()), 0);
}

TEST(GgufWriter, PadsWithZeros) {
  const TempFolder folder;
  const GgufWriter writer = small_writer();
  const auto path = folder.file("model.gguf");
  ASSERT_TRUE(
      writer
          .write_file(path, [&](const auto& t, const auto& sink) { return fill(writer, t, sink); })
          .ok());
  const auto file = MappedFile::open(path);
  ASSERT_TRUE(file.ok());
  const auto header = writer.header();
  EXPECT_EQ(header.size() % 32, 0u);
  EXPECT_EQ(std::memcmp((*file)->bytes().data(), header.data(), header.size()), 0);
  const auto padding = (*file)->bytes().subspan(header.size() + 12, 20);  // after three floats
  for (const std::byte b : padding) EXPECT_EQ(b, std::byte{0});
}

TEST(GgufWriter, LeavesNothingBehindWhenTheSourceFails) {
  const TempFolder folder;
  const auto path = folder.write("model.gguf", std::string_view("old"));
  const auto written = small_writer().write_file(
      path, [](const auto&, const auto&) -> Status { return data_loss("unreadable"); });
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, Code::DataLoss);
  EXPECT_NE(written.error().message.find("norm: unreadable"), std::string::npos);
  EXPECT_EQ(*read_text_file(path), "old");
  const auto entries = std::filesystem::directory_iterator(folder.path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

TEST(GgufWriter, RefusesATensorOfTheWrongLength) {
  const TempFolder folder;
  const auto written = small_writer().write_file(
      folder.file("model.gguf"), [](const auto&, const auto&) -> Status { return {}; });
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, Code::Internal);
}

}  // namespace
}  // namespace fourfold
