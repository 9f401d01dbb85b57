#include "server/redaction.h"

#include <gtest/gtest.h>

#include "base/sha256.h"
#include "server/keys.h"

namespace fourfold {
namespace {

class Redaction : public testing::Test {
 protected:
  Redaction() {
    (void)keys_.add("a", "sk-configured.1234");
    redactor_.set_keys(keys_.digests());
    redactor_.remember("presented-secret");
  }

  Keys keys_;
  Redactor redactor_;
};

struct Line {
  const char* given;
  const char* redacted;
};

class RedactedLines : public Redaction, public testing::WithParamInterface<Line> {};

TEST_P(RedactedLines, HoldNoKey) {
  EXPECT_EQ(redactor_.redact(GetParam().given), GetParam().redacted);
}

INSTANTIATE_TEST_SUITE_P(
    Configured, RedactedLines,
    testing::Values(Line{"", ""}, Line{"nothing to hide here", "nothing to hide here"},
                    Line{"model 'sk-configured.1234' not found", "model '[redacted]' not found"},
                    Line{"sk-configured.1234", "[redacted]"},
                    Line{"/v1/models/sk-configured.1234", "/v1/models/[redacted]"},
                    Line{"token:sk-configured.1234.", "token:[redacted]."},
                    Line{"sk%2Dconfigured%2e1234", "[redacted]"},
                    Line{"%73k-configured.1234 twice sk-configured.1234",
                         "[redacted] twice [redacted]"},
                    Line{"sk%252dconfigured.1234", "[redacted]"},
                    Line{"sk-configured.123", "sk-configured.123"}));

INSTANTIATE_TEST_SUITE_P(Presented, RedactedLines,
                         testing::Values(Line{"no key 'presented-secret'", "no key '[redacted]'"},
                                         Line{"xpresented-secretx", "x[redacted]x"},
                                         Line{"presented%2Dsecret&a", "[redacted]&a"},
                                         Line{"presented-secretpresented-secret", "[redacted]"}));

INSTANTIATE_TEST_SUITE_P(
    Labelled, RedactedLines,
    testing::Values(Line{"GET /v1beta/models?key=abc&alt=sse",
                         "GET /v1beta/models?key=[redacted]&alt=sse"},
                    Line{"?KEY=abc HTTP", "?KEY=[redacted] HTTP"},
                    Line{"?api_key=abc", "?api_key=[redacted]"},
                    Line{"?key%3Dabc%26alt=sse", "?key%3D[redacted]%26alt=sse"},
                    Line{"?key%253Dabc", "?key%253D[redacted]"}, Line{"?key=", "?key="},
                    Line{"{\"url\":\"/?key=abc\"}", "{\"url\":\"/?key=[redacted]\"}"},
                    Line{"authorization: Bearer abc", "authorization: Bearer [redacted]"},
                    Line{"key=presented-secret", "key=[redacted]"},
                    Line{"100% of %zz and %4", "100% of %zz and %4"}));

TEST_F(Redaction, KeepsShortDummiesReadable) {
  redactor_.remember("k");
  EXPECT_EQ(redactor_.redact("ok"), "ok");
}

TEST_F(Redaction, FollowsTheKeysWhenTheyChange) {
  Keys others;
  (void)others.add("b", "other-key-77");
  redactor_.set_keys(others.digests());
  EXPECT_EQ(redactor_.redact("sk-configured.1234 other-key-77"), "sk-configured.1234 [redacted]");
}

TEST_F(Redaction, RemembersTheLatest) {
  for (int i = 0; i < 1500; ++i) redactor_.remember("secret-number-" + std::to_string(i) + "!");
  EXPECT_EQ(redactor_.redact("secret-number-1499!"), "[redacted]");
  EXPECT_EQ(redactor_.redact("secret-number-3!"), "secret-number-3!");
}

}  // namespace
}  // namespace fourfold
