#include "base/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace fourfold {
namespace {

struct Vector {
  std::string message;
  std::string digest;
};

// The examples of FIPS 180-4 and of NIST's test files.
const Vector kVectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnop"
     "qrs"
     "mnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    {std::string(1'000'000, 'a'),
     "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
};

TEST(Sha256, EqualsTheStandardVectors) {
  for (const auto& [message, digest] : kVectors) {
    EXPECT_EQ(sha256_hex(message), digest) << message.size() << " bytes";
  }
}

TEST(Sha256, DoesNotDependOnHowTheMessageIsCut) {
  const std::string message(300, 'x');
  Sha256 whole;
  whole.update(std::as_bytes(std::span(message)));
  const auto expected = whole.finish();
  for (std::size_t step = 1; step <= message.size(); step += 7) {
    Sha256 cut;
    for (std::size_t at = 0; at < message.size(); at += step) {
      cut.update(
          std::as_bytes(std::span(message)).subspan(at, std::min(step, message.size() - at)));
    }
    EXPECT_EQ(cut.finish(), expected) << "in steps of " << step;
  }
}

// Lengths around the place where the padding needs a second block.
TEST(Sha256, PadsEveryLengthToWholeBlocks) {
  EXPECT_EQ(sha256_hex(std::string(55, 'a')),
            "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  EXPECT_EQ(sha256_hex(std::string(56, 'a')),
            "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
  EXPECT_EQ(sha256_hex(std::string(64, 'a')),
            "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

}  // namespace
}  // namespace fourfold
