#include "server/traces.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "api/identifiers.h"
#include "server/keys.h"
#include "server/trace_file.h"

namespace fourfold {
namespace {

namespace fs = std::filesystem;

// Sorts by time as a file's name: "20261124T100000Z-ab12cd34".
std::string trace_id(std::string_view time) {
  std::string id;
  for (const char c : time) {
    if (c != '-' && c != ':') id += c;
  }
  return random_lower_id(id + "-", 8);
}

std::uint64_t size_of(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : size;
}

}  // namespace

bool Traces::wants(const Call& call) const {
  if (folder_.empty()) return false;
  if (all_) return true;
  const bool may_ask = !call.key() || call.key()->scopes.contains(Scope::Admin);
  return may_ask && call.request().head.header("x-trace") == "1";
}

Trace Traces::begin(const Call& call, const ModelFacts& facts, const Engine& engine,
                    const ChatRequest* request, const PreparedChat& prepared) {
  Trace trace = begin_trace(engine, request, prepared);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  trace.time = rfc3339(std::chrono::duration_cast<std::chrono::seconds>(now).count());
  trace.id = trace_id(trace.time);
  trace.request_id = call.request_id();
  trace.dialect = name(call.dialect());
  trace.route = call.match().route->name;
  trace.model = facts.id;
  trace.path = facts.path;
  trace.fingerprint = facts.digest;
  return trace;
}

Status Traces::keep(const Trace& trace) {
  const std::lock_guard lock(mutex_);
  std::error_code error;
  fs::create_directories(folder_, error);
  if (!error) fs::permissions(folder_, fs::perms::owner_all, error);
  if (error) return failed_precondition("{}: {}", folder_, error.message());
  const auto path = (fs::path(folder_) / (trace.id + kTraceSuffix)).string();
  TRY(write_trace_file(path, trace));
  return make_room(size_of(path));
}

// The newest one stays, however large it is.
Status Traces::make_room(std::uint64_t newest_bytes) const {
  auto files = trace_files(folder_);
  std::uint64_t total = 0;
  for (const auto& path : files) total += size_of(path);
  for (const auto& path : files) {
    if (total <= std::max(most_bytes_, newest_bytes)) break;
    const auto size = size_of(path);
    std::error_code error;
    fs::remove(path, error);
    if (error) return failed_precondition("{}: {}", path, error.message());
    total -= std::min(total, size);
  }
  return {};
}

std::vector<std::string> trace_files(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().string().ends_with(kTraceSuffix)) files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace fourfold
