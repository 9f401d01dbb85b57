// An answer on its way to a client: what every dialect's formatter is given.
//
// A formatter turns events into bytes and keeps what it must remember between them. The server asks
// one of these two ways:
//
//   stream: begin(facts)  event(delta)…  end(…) per candidate  finish(facts)     or  error(…)
//   whole:  whole(facts, candidates)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/chat_service.h"

namespace fourfold {

// What is known of an answer as a whole. Times are those of the server.
struct AnswerFacts {
  std::string requested_model;  // as the client wrote it
  std::string model;            // canonical id
  std::int64_t created_s = 0;   // Unix time
  std::int64_t created_ns = 0;  // the same, for Ollama
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  MediaTokens prompt_media, cached_media;  // of them, media; the others are text
  bool thinks = false;
  int n_candidates = 1;
  const Tokenizer* tokenizer = nullptr;  // the model's; outlives the answer
  std::vector<TokenId> prompt_ids;
  double load_ms = 0.0;   // of the model, if this request loaded it
  double total_ms = 0.0;  // valid in finish() and whole()
};

// A piece of an answer in the order it was said. Neighbouring deltas of one kind are one piece.
struct AnswerPiece {
  enum class Kind { Thought, Text, Call, Malformed };

  Kind kind = Kind::Text;
  std::string text;  // of Thought, Text, Malformed
  ToolCall call;
};

struct Candidate {
  std::vector<AnswerPiece> pieces;
  std::vector<DrawnToken> tokens;
  CandidateEnd end;

  void add(const ChatDelta& delta);
  std::string text() const;     // all Text pieces
  std::string thought() const;  // all Thought pieces
  std::vector<ToolCall> calls() const;
};

class AnswerFormatter {
 public:
  virtual ~AnswerFormatter() = default;

  virtual std::string_view stream_type() const = 0;  // the Content-Type of a stream
  virtual std::string_view whole_type() const { return "application/json; charset=utf-8"; }

  // Each returns bytes to write now, possibly none. The Finish event of a delta is not passed to
  // event() but comes as end().
  virtual std::string begin(const AnswerFacts& facts) = 0;
  virtual std::string event(const ChatDelta& delta) = 0;
  virtual std::string end(int candidate, const CandidateEnd& end,
                          const std::vector<DrawnToken>& tokens) = 0;
  virtual std::string finish(const AnswerFacts& facts) = 0;
  // The stream ends here instead.
  virtual std::string error(const Error& error) = 0;
  // For a client that waits in silence; empty where the dialect has nothing harmless to say.
  virtual std::string keep_alive() { return ""; }
  // Seconds of silence after which keep_alive() is due.
  virtual int keep_alive_after_s() const { return 15; }
  // The same before begin(), while media are looked at. `progress` says how far that is ("window 2
  // of 5"), for dialects that can carry it; of `facts` only the model is settled.
  virtual std::string waiting(const AnswerFacts& /*facts*/, std::string_view /*progress*/) {
    return keep_alive();
  }

  virtual std::string whole(const AnswerFacts& facts, const std::vector<Candidate>& candidates) = 0;
};

// What a reader of server-sent events passes over: one line of text, where a dialect allows it.
inline std::string sse_comment(std::string_view text) { return ": " + std::string(text) + "\n\n"; }

}  // namespace fourfold
