// Where a request body goes: into memory or a temporary file, decoded, up to a limit.
//
//   auto sink = TRY(BodySink::open(plan, "gzip", folder));
//   TRY(sink->add(bytes)); …
//   TRY(sink->finish(request));   // its body or body_file
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "server/http/body_decoder.h"
#include "server/http/exchange.h"

namespace fourfold {

// The reason of the error that more than the limit came.
inline constexpr std::string_view kBodyTooLarge = "body_too_large";

class BodySink {
 public:
  // InvalidArgument for an unknown coding, Internal where no file can be made.
  static Result<std::unique_ptr<BodySink>> open(const BodyPlan& plan, std::string_view coding,
                                                const std::string& folder);
  ~BodySink();
  BodySink(const BodySink&) = delete;
  BodySink& operator=(const BodySink&) = delete;

  // InvalidArgument for bad bytes, OutOfRange kBodyTooLarge, Internal for a full disk.
  Status add(std::string_view bytes);
  std::uint64_t bytes_in_memory() const { return body_.size(); }
  // The file then belongs to the request.
  Status finish(Request& request);

 private:
  BodySink(std::uint64_t most_bytes, std::unique_ptr<BodyDecoder> decoder);

  Status open_file(const std::string& folder);
  Status store(std::string_view decoded);

  std::uint64_t most_bytes_;
  std::unique_ptr<BodyDecoder> decoder_;  // null: as it comes
  std::uint64_t n_encoded_ = 0;
  std::uint64_t n_decoded_ = 0;
  std::string body_;
  std::string path_;  // empty: into memory, or handed over
  int file_ = -1;
};

}  // namespace fourfold
