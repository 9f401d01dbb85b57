// Any bytes are refused or give parts that lie inside them, in order; what is read of them is a
// request for a transcription or an error.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "api/multipart.h"
#include "api/transcription.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto line = bytes.substr(0, bytes.find('\n'));
  const auto boundary = read_boundary(line);
  const auto form = bytes.substr(std::min(line.size() + 1, size));
  const auto parts = parse_multipart(form, boundary ? *boundary : "b");
  if (!parts) {
    CHECK(!parts.error().message.empty());
    return 0;
  }
  std::size_t at = 0;
  for (const FormPart& part : *parts) {
    CHECK(part.offset >= at && part.offset + part.body.size() <= form.size());
    CHECK(part.body.data() == form.data() + part.offset);
    at = part.offset + part.body.size();
  }
  const auto request = parse_transcription(*parts);
  CHECK(request.ok() || !request.error().message.empty());
  return 0;
}
