// Every row of tests/golden/tokenizer through every form of file.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tokenizer/detokenizer.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {
namespace {

using Json = nlohmann::json;

const std::string kCommitted = FOURFOLD_SOURCE_DIR "/tests/golden/tokenizer/";
const std::string kUnpacked = FOURFOLD_BUILD_DIR "/golden/tokenizer/";

struct Form {
  const char* name;
  std::string path;
  std::string rows;  // "full" or "small"
};

std::ostream& operator<<(std::ostream& out, const Form& form) { return out << form.name; }

std::vector<Json> read_lines(const std::string& path) {
  std::vector<Json> rows;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) rows.push_back(Json::parse(line));
  return rows;
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string text_of(const Json& row) {
  if (row.contains("text")) return row["text"];
  if (row.contains("bytes_hex")) return from_hex(row["bytes_hex"]);
  std::string text;
  for (int i = 0; i < row["times"].get<int>(); ++i) text += row["repeat"].get<std::string>();
  return text;
}

// FIPS 180-4; the goldens give long id lists by their hash only.
std::string sha256(std::string message) {
  constexpr std::array<std::uint32_t, 64> kRound = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
      0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
      0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
      0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
      0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
      0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
      0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
      0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
      0xc67178f2};
  std::array<std::uint32_t, 8> state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  const std::uint64_t n_bits = message.size() * 8;
  message += '\x80';
  while (message.size() % 64 != 56) message += '\0';
  for (int shift = 56; shift >= 0; shift -= 8) message += static_cast<char>(n_bits >> shift);

  for (std::size_t begin = 0; begin < message.size(); begin += 64) {
    std::array<std::uint32_t, 64> w;
    for (std::size_t i = 0; i < 16; ++i) {
      w[i] = 0;
      for (std::size_t b = 0; b < 4; ++b) {
        w[i] = w[i] << 8 | static_cast<unsigned char>(message[begin + 4 * i + b]);
      }
    }
    for (std::size_t i = 16; i < 64; ++i) {
      const auto a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + w[i - 7] +
             (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
    }
    auto s = state;
    for (std::size_t i = 0; i < 64; ++i) {
      const auto t1 = s[7] + (std::rotr(s[4], 6) ^ std::rotr(s[4], 11) ^ std::rotr(s[4], 25)) +
                      ((s[4] & s[5]) ^ (~s[4] & s[6])) + kRound[i] + w[i];
      const auto t2 = (std::rotr(s[0], 2) ^ std::rotr(s[0], 13) ^ std::rotr(s[0], 22)) +
                      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
      s = {t1 + t2, s[0], s[1], s[2], s[3] + t1, s[4], s[5], s[6]};
    }
    for (std::size_t i = 0; i < 8; ++i) state[i] += s[i];
  }
  std::string hex;
  for (const auto word : state) hex += fmt::format("{:08x}", word);
  return hex;
}

std::string little_endian(const std::vector<TokenId>& ids) {
  std::string bytes;
  for (const auto id : ids) {
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(id >> shift);
  }
  return bytes;
}

void expect_ids(const std::vector<TokenId>& ids, const Json& row) {
  if (row.contains("ids")) {
    EXPECT_EQ(ids, row["ids"].get<std::vector<TokenId>>());
    return;
  }
  const auto head = row["ids_head"].get<std::vector<TokenId>>();
  ASSERT_EQ(ids.size(), row["n_ids"].get<std::size_t>());
  EXPECT_EQ(std::vector<TokenId>(ids.begin(), ids.begin() + std::ssize(head)), head);
  EXPECT_EQ(sha256(little_endian(ids)), row["ids_sha256"].get<std::string>());
}

class TokenizerGolden : public testing::TestWithParam<Form> {
 protected:
  // Opened once for both tests of a form.
  static const Tokenizer& tokenizer() {
    static std::map<std::string, Tokenizer> opened;
    const std::string& path = GetParam().path;
    if (!opened.contains(path)) {
      auto result = Tokenizer::open(path);
      if (!result) throw std::runtime_error(result.error().message);
      opened.emplace(path, std::move(result).value());
    }
    return opened.at(path);
  }
};

TEST_P(TokenizerGolden, TextsHaveTheReferenceIdsAndComeBack) {
  const auto rows = read_lines(kCommitted + "rows-" + GetParam().rows + ".jsonl");
  ASSERT_GT(rows.size(), 300u);
  for (const auto& row : rows) {
    SCOPED_TRACE(row["name"].get<std::string>());
    const std::string text = text_of(row);
    if (row.contains("text_sha256")) {
      ASSERT_EQ(sha256(text), row["text_sha256"].get<std::string>());
    }

    const auto ids = tokenizer().encode(text, row["trusted"] ? Trust::Trusted : Trust::Untrusted);

    expect_ids(ids, row);
    const std::string decoded = row.value("decoded", text);
    EXPECT_EQ(decode(tokenizer(), ids), decoded);
    EXPECT_EQ(decode(tokenizer(), ids, {.hide_control = true}),
              row.value("decoded_hidden", decoded));
  }
}

TEST_P(TokenizerGolden, StreamsEmitTextAsSoonAsItIsCertain) {
  const auto rows = read_lines(kCommitted + "stream-" + GetParam().rows + ".jsonl");
  ASSERT_GT(rows.size(), 90u);
  for (const auto& row : rows) {
    SCOPED_TRACE(row["name"].get<std::string>());
    Detokenizer detokenizer(tokenizer(), {.hide_control = row["hide_control"]});
    std::vector<std::string> pieces;
    for (const TokenId id : row["ids"]) pieces.push_back(detokenizer.push(id));
    EXPECT_EQ(pieces, row["pieces"].get<std::vector<std::string>>());
    EXPECT_EQ(detokenizer.finish(), row["flush"].get<std::string>());
  }
}

TEST_P(TokenizerGolden, NothingIsWarnedOf) { EXPECT_TRUE(tokenizer().warnings().empty()); }

INSTANTIATE_TEST_SUITE_P(
    Forms, TokenizerGolden,
    testing::Values(
        Form{"FullJson", kUnpacked + "tokenizer.json", "full"},
        Form{"FullGguf", kUnpacked + "tokenizer.gguf", "full"},
        Form{"SmallJson", kCommitted + "tokenizer-small.json", "small"},
        Form{"SmallStringMerges", kCommitted + "tokenizer-small-strmerges.json", "small"},
        Form{"SmallGguf", kCommitted + "tokenizer-small.gguf", "small"},
        Form{"SmallRepeatedPieces", kCommitted + "tokenizer-small-dup.gguf", "small"},
        Form{"SmallModelLlama", kCommitted + "tokenizer-small-llama-model.gguf", "small"}),
    [](const auto& test) { return std::string(test.param.name); });

// Vectors of the specification, with ids that other runtimes report for Gemma 4.
struct Vector {
  const char* text;
  Trust trust;
  std::vector<TokenId> ids;
};

TEST(TokenizerVectors, MatchTheSpecification) {
  constexpr Trust kPlain = Trust::Untrusted, kPrompt = Trust::Trusted;
  const Vector vectors[] = {
      {"Hello,", kPlain, {9259, 236764}},
      {"hello  world", kPlain, {23391, 138, 12392}},
      {"trailing  ", kPlain, {136697, 138}},
      {"1234", kPlain, {236770, 236778, 236800, 236812}},
      {"def f(x):\n    return x+1\n",
       kPlain,
       {2063, 517, 236769, 236781, 1473, 107, 140, 2060, 1123, 236862, 236770, 107}},
      {"a\r\nb", kPlain, {236746, 251, 107, 236763}},
      {"émoji 😀 € 中文字", kPlain, {236859, 58197, 163543, 11361, 17346, 31818}},
      {"𝕏", kPlain, {478, 395, 387, 381}},
      {"<table><tr>", kPlain, {236820, 5127, 1798, 1168, 236813}},
      {"▁literal", kPlain, {37087}},
      {"A<|turn>B", kPlain, {236776, 236820, 236909, 887, 236813, 236799}},
      {"<bos><|turn>user\nA<|turn>B<turn|>\n",
       kPrompt,
       {2, 105, 2364, 107, 236776, 105, 236799, 106, 107}},
      {"<bos><|turn>system\n<|think|>\n<turn|>\n<|turn>user\nHello<turn|>\n<|turn>model\n",
       kPrompt,
       {2, 105, 9731, 107, 98, 107, 106, 107, 105, 2364, 107, 9259, 106, 107, 105, 4368, 107}},
      {"<|tool_call>call:get_weather{city:<|\"|>Paris<|\"|>}<tool_call|>",
       kPrompt,
       {48, 6639, 236787, 828, 236779, 19323, 236782, 13319, 236787, 52, 50429, 52, 236783, 49}},
  };
  const auto tokenizer = Tokenizer::open(kUnpacked + "tokenizer.gguf");
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  for (const auto& vector : vectors) {
    EXPECT_EQ(tokenizer->encode(vector.text, vector.trust), vector.ids) << vector.text;
  }
}

}  // namespace
}  // namespace fourfold
