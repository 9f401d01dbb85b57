// Trace files: the text of trace.h, compressed with zstd.
#pragma once

#include <string>

#include "base/result.h"
#include "engine/trace.h"

namespace fourfold {

inline constexpr const char* kTraceSuffix = ".jsonl.zst";

// For nobody but its owner to read: it holds what was said.
Status write_trace_file(const std::string& path, const Trace& trace);
// Errors name the path. DataLoss for what is no trace.
Result<Trace> read_trace_file(const std::string& path);

}  // namespace fourfold
