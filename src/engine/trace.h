// Everything that decided an answer, token by token: what a trace file holds. Enough to draw the
// same tokens again (trace_replay.h).
//
//   Trace trace = begin_trace(service.engine(), &request, prepared);
//   … start the stream …  trace.start(*stream);
//   while (auto delta = stream->next()) trace.add(*delta, *stream);
//   TRY(write_trace_file(path, trace));
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.h"
#include "base/result.h"
#include "engine/chat_service.h"

namespace fourfold {

// Alternatives that are kept of every token.
inline constexpr int kTraceAlternatives = 10;
// Bytes that are kept of a prompt's media, all together: whoever has them can draw the answer
// again.
inline constexpr std::uint64_t kMostTraceMediaBytes = std::uint64_t{32} << 20;

// A medium of the prompt, in its order.
struct TraceMedium {
  Part part;  // kind, where, settings; the bytes unless they are too many
  std::uint64_t size_bytes = 0;
  std::string sha256;  // of the bytes

  bool is_kept() const { return part.bytes.size() == size_bytes; }
};

struct TraceCandidate {
  std::vector<DrawnToken> tokens;
  std::vector<JsonValue> events;  // as output_json.h writes them, neighbours joined
  CandidateEnd end;
  bool has_ended = false;
};

struct Trace {
  std::string id;
  std::string time;  // RFC 3339

  // Who asked, and where.
  std::string request_id, dialect, route;

  // What answered.
  std::string build;  // version of the program
  std::string isa;    // the kernels
  bool exact = false;
  std::string kv_ring, kv_global;  // types of the cache
  int n_threads = 0, chunk = 0;
  std::int64_t context = 0;
  std::string model;        // canonical id
  std::string path;         // of the file
  std::string fingerprint;  // of its content

  // The request as it was rendered, and how it is drawn.
  Prompt prompt;
  std::vector<TraceMedium> media;  // whose rows stand in the prompt
  std::vector<FilmTurn> films;     // turns in which films were seen; their notes are in the prompt
  bool is_raw = false, hide_control = true, thinks = false;
  SampleOptions sampling;  // candidate i with seed + i
  std::int64_t max_tokens = 0;
  bool limit_is_context = false;
  std::vector<TokenId> stop_ids;
  std::vector<std::string> stop;
  std::int64_t thought_budget = -1;
  // What the answer is held to: tools, tool choice, response format, and the text that it goes on
  // with. Nothing else of the conversation is kept.
  Conversation rules;
  bool enforce = true;

  std::vector<TraceCandidate> candidates;
  std::int64_t cached_tokens = 0;
  double total_ms = 0.0;

  // The prompt as it runs: films were seen by now.
  void start(const ChatStream& stream);
  // `stream` knows the end of a candidate whose Finish this is.
  void add(const ChatDelta& delta, const ChatStream& stream);
};

// Asks the sampler of a prepared request for what a trace keeps.
void describe_tokens(PreparedChat& prepared);

// `request` is null for raw text. What only a server knows is left empty.
Trace begin_trace(const Engine& engine, const ChatRequest* request, const PreparedChat& prepared);

// One line of JSON for each thing: what answered, the request, every token and event, the ends.
std::string trace_text(const Trace& trace);
// DataLoss "line 3: …".
Result<Trace> parse_trace(std::string_view text);

}  // namespace fourfold
