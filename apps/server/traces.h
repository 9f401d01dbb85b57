// Traces of answers, one file each, for whoever wants to know why a token came (http-apis.md 6.5).
//
//   if (traces.wants(call)) trace = traces.begin(call, facts, engine, request, prepared);
//   …
//   traces.keep(*trace);
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/trace.h"
#include "server/call.h"
#include "server/models.h"

namespace fourfold {

class Traces {
 public:
  static constexpr std::uint64_t kMostBytes = 1ull << 30;  // of all files, the oldest go first

  // An empty folder keeps none. `all`: of every answer, else of those that ask for one.
  Traces(std::string folder, bool all, std::uint64_t most_bytes = kMostBytes)
      : folder_(std::move(folder)), all_(all), most_bytes_(most_bytes) {}

  // The header x-trace: 1 asks for one; with keys it takes one of scope admin.
  bool wants(const Call& call) const;
  // `request` is null for raw text.
  static Trace begin(const Call& call, const ModelFacts& facts, const Engine& engine,
                     const ChatRequest* request, const PreparedChat& prepared);
  Status keep(const Trace& trace);

 private:
  Status make_room(std::uint64_t newest_bytes) const;

  const std::string folder_;
  const bool all_;
  const std::uint64_t most_bytes_;
  std::mutex mutex_;  // one file at a time
};

// Files of traces in a folder, the oldest first.
std::vector<std::string> trace_files(const std::string& folder);

}  // namespace fourfold
