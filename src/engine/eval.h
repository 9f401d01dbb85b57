// Perplexity of a text, and the KL divergence from the logits of another run, measured as
// llama.cpp's perplexity tool does (formats.md 6.2) and with its files.
//
//   const auto report = TRY(evaluate(*engine, text, {.window = 512}));
//   print("{:.4f}", report.perplexity);
//
// The text is cut into windows; the first token of each is replaced by <bos>, and the tokens of the
// second half are predicted.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "base/new_file.h"
#include "base/result.h"
#include "engine/engine.h"

namespace fourfold {

struct EvalOptions {
  int window = 0;              // tokens; 0: that of the base, else 512
  std::string save_base_path;  // the logits are written there
  std::string base_path;       // the logits are compared with these
  // Windows done and in all, also while one is running; false stops (Cancelled).
  std::function<bool(std::int64_t done, std::int64_t total)> progress;
};

// Of the divergence sum p · ln(p / q) at each position, p being the base. In nats.
struct KldStatistics {
  double mean = 0.0;
  double standard_error = 0.0;
  double max = 0.0;
  double p99_9 = 0.0;
  double p99 = 0.0;
  double median = 0.0;
};

struct BaseComparison {
  KldStatistics kld;
  double same_top = 0.0;     // share of positions where both like the same token best
  double delta_p_rms = 0.0;  // of the probability of the text's token
};

struct EvalReport {
  std::int64_t n_tokens = 0;  // of the text, <bos> and what fills no window included
  std::int64_t n_scored = 0;
  double mean_nll = 0.0;  // nats
  double perplexity = 0.0;
  double perplexity_stderr = 0.0;
  std::optional<BaseComparison> base;  // none below kMinComparedPositions
};
inline constexpr std::int64_t kMinComparedPositions = 100;

// With a base, its tokens are used; a text that has others is refused, an empty one stands for
// them. Ids that the model never says are masked on both sides.
Result<EvalReport> evaluate(Engine& engine, std::string_view text, const EvalOptions& options);

// --- The base file ---

// First scored position of a window; position i predicts token i + 1, the last one nothing.
constexpr int first_scored(int window) { return window / 2; }
constexpr int n_scored(int window) { return window - 1 - first_scored(window); }

struct BaseHeader {
  int window = 0;
  int vocab_size = 0;
  std::int64_t n_windows = 0;
  std::vector<TokenId> tokens;  // [n_windows · window], as the text has them

  std::int64_t n_records() const { return n_windows * n_scored(window); }
  // 16-bit words of a record: two floats, a code for each token, and one more if their number is
  // odd.
  std::int64_t record_words() const { return 2 * ((std::int64_t{vocab_size} + 1) / 2) + 4; }
};

// Log-probabilities of one position as 16-bit steps: ln p = scale · code + min.
struct BaseRecord {
  float scale = 0.0f;
  float min = 0.0f;
  std::span<const std::uint16_t> codes;  // [V], of the reader's words

  double log_probability(TokenId id) const {
    return double{scale} * codes[static_cast<std::size_t>(id)] + double{min};
  }
};

// words [record_words]; the floor is 24 nats below the largest logit.
void encode_record(std::span<const float> logits, std::span<std::uint16_t> words);
BaseRecord decode_record(std::span<const std::uint16_t> words, int vocab_size);

class BaseReader {
 public:
  // DataLoss naming what is wrong with the file.
  static Result<BaseReader> open(const std::string& path);

  const BaseHeader& header() const { return header_; }
  // In the order of the windows and positions. Valid until the next call.
  Result<BaseRecord> read(std::int64_t index);

 private:
  BaseReader() = default;

  std::shared_ptr<const MappedFile> file_;
  BaseHeader header_;
  std::uint64_t data_start_ = 0;
  std::vector<std::uint16_t> words_;
};

// Writes under a temporary name, which commit() makes the real one.
class BaseWriter {
 public:
  static Result<BaseWriter> create(const std::string& path, const BaseHeader& header);

  Status add(std::span<const float> logits);
  Status commit() { return file_.commit(); }

 private:
  explicit BaseWriter(NewFile file) : file_(std::move(file)) {}

  NewFile file_;
  std::vector<std::uint16_t> words_;  // of one record
};

}  // namespace fourfold
