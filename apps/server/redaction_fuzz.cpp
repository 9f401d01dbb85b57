// Whatever stands around a key, the key is not in what is written.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "server/redaction.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  constexpr std::string_view kSecret = "s3cr3t-k3y";
  Redactor redactor;
  redactor.remember(kSecret);
  redactor.set_keys({std::string(32, '\0')});  // nothing has this digest
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t half = size / 2;
  const std::string line =
      std::string(text.substr(0, half)) + std::string(kSecret) + std::string(text.substr(half));
  for (const auto& given : {std::string(text), line}) {
    const std::string redacted = redactor.redact(given);
    CHECK(redacted.find(kSecret) == redacted.npos);
    CHECK(redacted.find("s3cr3t%2Dk3y") == redacted.npos);
    CHECK(redacted.find("s3cr3t%252dk3y") == redacted.npos);
  }
  return 0;
}
