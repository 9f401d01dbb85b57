#include "engine/eval.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace fourfold {
namespace {

constexpr int kDefaultWindow = 512;
constexpr int kSmallestWindow = 4;
// Logits in memory at a time: a row of 262,144 is 1 MiB.
constexpr std::int64_t kLogitsBytes = 32 << 20;

constexpr std::string_view kMagic = "_logits_";
constexpr std::uint64_t kFixedHeaderBytes = 8 + 3 * sizeof(std::int32_t);
constexpr float kRange = 24.0f;      // nats below the largest logit that a record tells apart
constexpr float kSteps = 65'535.0f;  // the largest code
constexpr std::size_t kRecordFloatWords = 4;
// Below this a token adds nothing to the divergence that could be seen.
constexpr double kLogProbabilityFloor = -16.0;

double log_sum_exp(std::span<const float> logits) {
  const double max = *std::ranges::max_element(logits);
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(logit - max);
  return max + std::log(sum);
}

// --- Statistics ---

struct Tally {
  std::int64_t n = 0;
  double sum = 0.0;
  double sum_squares = 0.0;

  void add(double value) {
    ++n;
    sum += value;
    sum_squares += value * value;
  }
  double mean() const { return sum / static_cast<double>(n); }
  double mean_square() const { return sum_squares / static_cast<double>(n); }
  double standard_error() const {
    if (n < 2) return 0.0;
    const double variance = mean_square() - mean() * mean();
    return std::sqrt(std::max(0.0, variance) / static_cast<double>(n - 1));
  }
};

// Between the two nearest of sorted values.
double quantile(const std::vector<double>& sorted, double fraction) {
  const double at = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double weight = at - static_cast<double>(below);
  return (1.0 - weight) * sorted[below] + weight * sorted[above];
}

KldStatistics kld_statistics(std::vector<double> values) {
  std::ranges::sort(values);
  Tally tally;
  for (const double value : values) tally.add(value);
  return {.mean = tally.mean(),
          .standard_error = tally.standard_error(),
          .max = values.back(),
          .p99_9 = quantile(values, 0.999),
          .p99 = quantile(values, 0.99),
          .median = quantile(values, 0.5)};
}

// Gathers what is said of the differences from a base, position by position.
class Comparison {
 public:
  explicit Comparison(std::span<const int> suppressed) : suppressed_(suppressed) {}

  // `log_sum` belongs to `logits`, in which suppressed ids are −infinity; `next` is the text's
  // token.
  void add(const BaseRecord& base, std::span<const float> logits, double log_sum, TokenId next) {
    const double shift = log_mass_without_suppressed(base);
    double kld = 0.0;
    std::uint16_t max_code = 0;
    for (std::size_t v = 0; v < logits.size(); ++v) {
      if (std::isinf(logits[v])) continue;
      max_code = std::max(max_code, base.codes[v]);
      const double log_p = base.log_probability(static_cast<TokenId>(v)) - shift;
      if (log_p <= kLogProbabilityFloor) continue;
      kld += std::exp(log_p) * (log_p - (logits[v] - log_sum));
    }
    klds_.push_back(kld);

    // Tokens of one code are equally good in the base.
    const auto top = std::ranges::max_element(logits) - logits.begin();
    if (base.codes[static_cast<std::size_t>(top)] == max_code) ++n_same_top_;
    const double log_q = logits[static_cast<std::size_t>(next)] - log_sum;
    delta_p_.add(std::exp(log_q) - std::exp(base.log_probability(next) - shift));
  }

  std::optional<BaseComparison> result() const {
    const auto n = static_cast<std::int64_t>(klds_.size());
    if (n < kMinComparedPositions) return std::nullopt;
    return BaseComparison{.kld = kld_statistics(klds_),
                          .same_top = static_cast<double>(n_same_top_) / static_cast<double>(n),
                          .delta_p_rms = std::sqrt(delta_p_.mean_square())};
  }

 private:
  double log_mass_without_suppressed(const BaseRecord& base) const {
    double mass = 0.0;
    for (const int id : suppressed_) mass += std::exp(base.log_probability(id));
    return std::log1p(-std::min(mass, 0.999));
  }

  std::span<const int> suppressed_;  // the engine's
  std::vector<double> klds_;
  Tally delta_p_;
  std::int64_t n_same_top_ = 0;
};

// --- Tokens and windows ---

Result<std::vector<TokenId>> tokens_of(const Tokenizer& tokenizer, std::string_view text) {
  if (text.empty()) return invalid_argument("the text is empty");
  return tokenizer.with_bos(tokenizer.encode(text, Trust::Untrusted));
}

Status check_base(const std::string& path, const BaseHeader& header, int vocab_size,
                  const EvalOptions& options) {
  if (header.vocab_size != vocab_size) {
    return invalid_argument("{}: logits of {} tokens, the model has {}", path, header.vocab_size,
                            vocab_size);
  }
  if (options.window != 0 && options.window != header.window) {
    return invalid_argument("{}: windows of {} tokens, {} were asked for", path, header.window,
                            options.window);
  }
  return {};
}

// The base may have been made from the beginning of the text.
Status check_same_text(const std::string& path, const std::vector<TokenId>& base,
                       const std::vector<TokenId>& text) {
  if (text.size() < base.size()) {
    return invalid_argument("{}: made from {} tokens, the text has {}", path, base.size(),
                            text.size());
  }
  const auto [in_base, in_text] = std::mismatch(base.begin(), base.end(), text.begin());
  if (in_base == base.end()) return {};
  return invalid_argument(
      "{}: token {} is {}, that of the text is {} (the same text and "
      "vocabulary expected)",
      path, in_base - base.begin(), *in_base, *in_text);
}

Status check_window(int window, std::int64_t n_tokens, std::int64_t context) {
  if (window < kSmallestWindow || window > context) {
    return invalid_argument("window of {} tokens (expected {} to {}, the context)", window,
                            kSmallestWindow, context);
  }
  if (n_tokens < window) {
    return invalid_argument("the text has {} tokens, one window needs {}", n_tokens, window);
  }
  return {};
}

// Runs the windows and scores their second halves.
class Evaluation {
 public:
  // Both are the caller's.
  Evaluation(Engine& engine, const BaseHeader& windows)
      : engine_(engine), windows_(windows), comparison_(engine.config().suppress_ids) {
    for (int i = first_scored(windows.window); i < windows.window - 1; ++i) wanted_.push_back(i);
    const std::int64_t n_rows = kLogitsBytes / (windows.vocab_size * std::int64_t{sizeof(float)});
    logits_.resize(static_cast<std::size_t>(std::max<std::int64_t>(1, n_rows)) *
                   static_cast<std::size_t>(windows.vocab_size));
  }

  void compare_with(BaseReader& base) { base_ = &base; }
  void save_to(BaseWriter& writer) { writer_ = &writer; }

  Status run_window(std::int64_t index, TokenId bos, const EvalOptions& options) {
    const auto begin = windows_.tokens.begin() + index * windows_.window;
    std::vector<TokenId> ids(begin, begin + windows_.window);
    ids[0] = bos;
    KvCache cache = engine_.new_cache();
    const FeedInput input{.cache = &cache,
                          .ids = ids,
                          .wanted = wanted_,
                          .embeds = nullptr,
                          .embed_rows = {},
                          .blocks = {}};
    const auto go_on = [&](std::int64_t, std::int64_t) {
      return !options.progress || options.progress(index, windows_.n_windows);
    };
    return engine_.feed({&input, 1}, {.chunk = engine_.chunk(), .tap = nullptr, .progress = go_on},
                        [&](int, std::int64_t first_wanted, MatView hidden) {
                          return score_rows(ids, first_wanted, hidden);
                        });
  }

  EvalReport report(std::int64_t n_tokens) const {
    const double perplexity = std::exp(nll_.mean());
    return {.n_tokens = n_tokens,
            .n_scored = nll_.n,
            .mean_nll = nll_.mean(),
            .perplexity = perplexity,
            .perplexity_stderr = perplexity * nll_.standard_error(),
            .base = comparison_.result()};
  }

 private:
  // Hidden states of wanted rows, from number `first_wanted` on; a few of them at a time, because
  // their logits are large.
  Status score_rows(std::span<const TokenId> ids, std::int64_t first_wanted, MatView hidden) {
    const std::int64_t V = windows_.vocab_size;
    const std::int64_t n_at_once = static_cast<std::int64_t>(logits_.size()) / V;
    for (std::int64_t first = 0; first < hidden.n_rows; first += n_at_once) {
      const std::int64_t n = std::min(n_at_once, hidden.n_rows - first);
      const MatView rows{logits_.data(), n, V, V};
      engine_.decoder().logits(hidden.rows(first, n), rows);
      for (std::int64_t r = 0; r < n; ++r) {
        const auto wanted = static_cast<std::size_t>(first_wanted + first + r);
        const auto next = static_cast<std::size_t>(wanted_[wanted]) + 1;
        TRY(score({rows.row(r), static_cast<std::size_t>(V)}, ids[next]));
      }
    }
    return {};
  }

  Status score(std::span<float> logits, TokenId next) {
    for (const int id : engine_.config().suppress_ids) {
      logits[static_cast<std::size_t>(id)] = -std::numeric_limits<float>::infinity();
    }
    const double log_sum = log_sum_exp(logits);
    if (base_) comparison_.add(TRY(base_->read(nll_.n)), logits, log_sum, next);
    if (writer_) TRY(writer_->add(logits));
    nll_.add(log_sum - logits[static_cast<std::size_t>(next)]);
    return {};
  }

  Engine& engine_;
  const BaseHeader& windows_;
  std::vector<std::int32_t> wanted_;  // scored positions of a window
  std::vector<float> logits_;         // [rows at a time, V]
  BaseReader* base_ = nullptr;
  BaseWriter* writer_ = nullptr;
  Tally nll_;
  Comparison comparison_;
};

}  // namespace

Result<EvalReport> evaluate(Engine& engine, std::string_view text, const EvalOptions& options) {
  const Tokenizer* tokenizer = TRY(engine.tokenizer());
  std::optional<BaseReader> base;
  if (!options.base_path.empty()) base = TRY(BaseReader::open(options.base_path));

  BaseHeader windows;
  std::int64_t n_tokens = 0;
  if (base) {
    windows = base->header();
    TRY(check_base(options.base_path, windows, engine.config().text.vocab_size, options));
    n_tokens = static_cast<std::int64_t>(windows.tokens.size());
  }
  if (!base || !text.empty()) {
    auto tokens = TRY(tokens_of(*tokenizer, text));
    if (base) TRY(check_same_text(options.base_path, windows.tokens, tokens));
    n_tokens = static_cast<std::int64_t>(tokens.size());
    windows.tokens = std::move(tokens);
  }
  if (!base) {
    windows.window = options.window == 0 ? kDefaultWindow : options.window;
    windows.vocab_size = engine.config().text.vocab_size;
  }
  TRY(check_window(windows.window, n_tokens, engine.context()));
  if (!base) windows.n_windows = n_tokens / windows.window;
  windows.tokens.resize(static_cast<std::size_t>(windows.n_windows * windows.window));

  std::optional<BaseWriter> writer;
  if (!options.save_base_path.empty()) {
    writer.emplace(TRY(BaseWriter::create(options.save_base_path, windows)));
  }
  Evaluation evaluation(engine, windows);
  if (base) evaluation.compare_with(*base);
  if (writer) evaluation.save_to(*writer);
  for (std::int64_t w = 0; w < windows.n_windows; ++w) {
    TRY(evaluation.run_window(w, tokenizer->control().bos, options));
    if (options.progress && !options.progress(w + 1, windows.n_windows)) {
      return Error{Code::Cancelled,
                   fmt::format("stopped after {} of {} windows", w + 1, windows.n_windows)};
    }
  }
  if (writer) TRY(writer->commit());
  return evaluation.report(n_tokens);
}

// --- The base file ---

void encode_record(std::span<const float> logits, std::span<std::uint16_t> words) {
  const float max = *std::ranges::max_element(logits);
  const float min = std::max(*std::ranges::min_element(logits), max - kRange);
  const float scale = (max - min) / kSteps;
  const auto min_log_probability = static_cast<float>(min - log_sum_exp(logits));
  std::ranges::fill(words, std::uint16_t{0});
  std::memcpy(words.data(), &scale, sizeof scale);
  std::memcpy(words.data() + 2, &min_log_probability, sizeof min_log_probability);
  if (scale == 0.0f) return;  // all logits are equal
  for (std::size_t v = 0; v < logits.size(); ++v) {
    if (logits[v] <= min) continue;
    const float steps = std::nearbyint((logits[v] - min) / scale);
    words[kRecordFloatWords + v] = static_cast<std::uint16_t>(std::min(steps, kSteps));
  }
}

BaseRecord decode_record(std::span<const std::uint16_t> words, int vocab_size) {
  BaseRecord record;
  std::memcpy(&record.scale, words.data(), sizeof record.scale);
  std::memcpy(&record.min, words.data() + 2, sizeof record.min);
  record.codes = words.subspan(kRecordFloatWords, static_cast<std::size_t>(vocab_size));
  return record;
}

Result<BaseReader> BaseReader::open(const std::string& path) {
  BaseReader reader;
  reader.file_ = TRY(MappedFile::open(path));
  const std::uint64_t size = reader.file_->size_bytes();
  const std::byte* bytes = reader.file_->bytes().data();
  if (size < kFixedHeaderBytes || std::memcmp(bytes, kMagic.data(), kMagic.size()) != 0) {
    return data_loss("{}: not a file of base logits (expected it to begin with {})", path, kMagic);
  }
  std::array<std::int32_t, 3> numbers;
  std::memcpy(numbers.data(), bytes + kMagic.size(), sizeof numbers);
  const auto [window, vocab_size, n_windows] = numbers;
  if (window < kSmallestWindow || vocab_size < 1 || n_windows < 1) {
    return data_loss("{}: {} windows of {} tokens, vocabulary of {} (expected at least 1, {}, 1)",
                     path, n_windows, window, vocab_size, kSmallestWindow);
  }
  reader.header_ = {.window = window, .vocab_size = vocab_size, .n_windows = n_windows};

  // At most 2^62 tokens, and 2^31 words a record: the products are checked by division.
  const std::uint64_t n_tokens = std::uint64_t(n_windows) * std::uint64_t(window);
  const auto record_bytes = 2 * static_cast<std::uint64_t>(reader.header_.record_words());
  const auto n_records = static_cast<std::uint64_t>(reader.header_.n_records());
  const std::uint64_t left = size - kFixedHeaderBytes;
  const bool tokens_fit = n_tokens <= left / sizeof(TokenId);
  const std::uint64_t data_bytes = tokens_fit ? left - n_tokens * sizeof(TokenId) : 0;
  if (!tokens_fit || data_bytes % record_bytes != 0 || data_bytes / record_bytes != n_records) {
    return data_loss(
        "{}: {} bytes do not hold {} windows of {} tokens and {} positions of {} "
        "bytes",
        path, size, n_windows, window, n_records, record_bytes);
  }
  reader.header_.tokens.resize(n_tokens);
  std::memcpy(reader.header_.tokens.data(), bytes + kFixedHeaderBytes, n_tokens * sizeof(TokenId));
  for (std::uint64_t i = 0; i < n_tokens; ++i) {
    const TokenId id = reader.header_.tokens[i];
    if (id < 0 || id >= vocab_size) {
      return data_loss("{}: token {} is {} (expected 0 to {})", path, i, id, vocab_size - 1);
    }
  }
  reader.data_start_ = kFixedHeaderBytes + n_tokens * sizeof(TokenId);
  reader.words_.resize(static_cast<std::size_t>(reader.header_.record_words()));
  return reader;
}

Result<BaseRecord> BaseReader::read(std::int64_t index) {
  const auto record_bytes = words_.size() * sizeof(std::uint16_t);
  const std::uint64_t offset = data_start_ + static_cast<std::uint64_t>(index) * record_bytes;
  TRY(file_->read_at(offset, std::as_writable_bytes(std::span(words_))));
  const BaseRecord record = decode_record(words_, header_.vocab_size);
  if (!std::isfinite(record.scale) || !std::isfinite(record.min)) {
    return data_loss("{}: position {}: scale {} and minimum {} (finite numbers expected)",
                     file_->path(), index, record.scale, record.min);
  }
  return record;
}

Result<BaseWriter> BaseWriter::create(const std::string& path, const BaseHeader& header) {
  BaseWriter writer(TRY(NewFile::create(path)));
  writer.words_.resize(static_cast<std::size_t>(header.record_words()));
  const std::array<std::int32_t, 3> numbers = {header.window, header.vocab_size,
                                               static_cast<std::int32_t>(header.n_windows)};
  TRY(writer.file_.write(std::as_bytes(std::span(kMagic))));
  TRY(writer.file_.write(std::as_bytes(std::span(numbers))));
  TRY(writer.file_.write(std::as_bytes(std::span(header.tokens))));
  return writer;
}

Status BaseWriter::add(std::span<const float> logits) {
  encode_record(logits, words_);
  return file_.write(std::as_bytes(std::span(words_)));
}

}  // namespace fourfold
