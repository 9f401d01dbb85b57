// Any bytes of any coding are refused or decoded, never beyond the limit.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "server/http/body_sink.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  if (size < 2) return 0;
  constexpr std::uint64_t kMostBytes = 100'000;
  constexpr std::string_view kCodings[] = {"", "gzip", "zstd", "br"};
  auto sink = BodySink::open({.most_bytes = kMostBytes}, kCodings[data[0] % 4], "");
  if (!sink.ok()) return 0;
  const std::size_t piece_bytes = 1u + data[1];
  std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  while (!bytes.empty()) {
    const Status added = (*sink)->add(bytes.substr(0, piece_bytes));
    if (!added.ok()) {
      CHECK(added.error().code == Code::InvalidArgument || added.error().reason() == kBodyTooLarge);
      return 0;
    }
    bytes.remove_prefix(std::min(bytes.size(), piece_bytes));
  }
  Request request;
  if ((*sink)->finish(request).ok()) CHECK(request.body.size() <= kMostBytes);
  return 0;
}
