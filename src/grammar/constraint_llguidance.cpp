// Constraints by llguidance: its matcher works on the grammars that schema_grammar.h,
// tool_grammar.h and gbnf.h write.

#include <fmt/format.h>
#include <llguidance.h>

#include <algorithm>
#include <bit>
#include <list>
#include <map>
#include <mutex>
#include <utility>

#include "grammar/constraint.h"
#include "grammar/gbnf.h"
#include "grammar/regex_pattern.h"
#include "grammar/schema_grammar.h"
#include "grammar/tool_grammar.h"
#include "grammar/value_tracker.h"
#include "tokenizer/id_bits.h"

namespace fourfold {

namespace {

constexpr int kMaxForced = 256;
// Compiled grammars that are remembered; each holds about 1 MB.
constexpr std::size_t kCacheSize = 128;
// A string is free where at least one id in so many may come.
constexpr int kFreeShare = 16;
// A matcher that has seen so many tokens is not handed on: its automaton grows by some ten states a
// token where strings have a limit, about 100 bytes each.
constexpr std::size_t kMaxTokensOfIdle = 4096;

// What one compile, one mask and one matcher may take; beyond it the request fails.
constexpr LlgParserLimits kLimits = {
    .max_items_in_row = 2000,
    .initial_lexer_fuel = 1'000'000,
    .step_lexer_fuel = 200'000,
    .step_max_items = 50'000,
    .max_lexer_states = 1'000'000,
    .max_grammar_size = 500'000,
    .precompute_large_lexemes = true,
    .verbose_errors = false,
};

struct FreeMatcher {
  void operator()(LlgMatcher* matcher) const { llg_free_matcher(matcher); }
};
using Matcher = std::unique_ptr<LlgMatcher, FreeMatcher>;

struct FreeTokenizer {
  void operator()(LlgTokenizer* tokenizer) const { llg_free_tokenizer(tokenizer); }
};

// The library's message without the source it quotes.
std::string first_line(const char* message) {
  const std::string_view text = message ? message : "unknown error";
  return std::string(text.substr(0, std::min<std::size_t>(text.find('\n'), 300)));
}

std::string error_of(LlgMatcher* matcher) { return first_line(llg_matcher_get_error(matcher)); }

// What a grammar describes.
enum class Content { Json, Call, Text };

struct UsedMatcher {
  Matcher matcher;
  std::size_t n_tokens = 0;  // in all its requests
};

// A grammar that was compiled. Its matchers keep the automaton that masks have built so far, so one
// that has been used is handed on to the next request.
struct Compiled {
  Content content = Content::Text;
  std::vector<std::string> loosened;

  UsedMatcher take() {
    const std::lock_guard lock(mutex);
    if (idle.matcher) return std::exchange(idle, {});
    return {Matcher(llg_clone_matcher(fresh.get())), 0};
  }
  Matcher take_fresh() {
    const std::lock_guard lock(mutex);
    return Matcher(llg_clone_matcher(fresh.get()));
  }
  void give_back(UsedMatcher used) {
    LlgMatcher* matcher = used.matcher.get();
    if (used.n_tokens > kMaxTokensOfIdle || llg_matcher_is_error(matcher)) return;
    if (llg_matcher_reset(matcher) != 0) return;
    const std::lock_guard lock(mutex);
    if (!idle.matcher) idle = std::move(used);
  }

  std::mutex mutex;
  Matcher fresh;
  UsedMatcher idle;
};

// What Constraint and its factory know of the vocabulary.
struct Vocabulary {
  explicit Vocabulary(const Tokenizer& t) : tokenizer(t), byte_ids(256, kNoToken) {
    for (int byte = 0; byte < 256; ++byte) {
      byte_ids[static_cast<std::size_t>(byte)] = t.find_piece(fmt::format("<0x{:02X}>", byte));
    }
  }

  std::size_t n_words() const { return tokenizer.text_ids().size(); }
  bool has_text(TokenId id) const { return has_id(tokenizer.text_ids(), id); }

  const Tokenizer& tokenizer;
  std::vector<TokenId> byte_ids;
};

extern "C" std::size_t fourfold_tokenize_for_llguidance(const void* tokenizer,
                                                        const std::uint8_t* bytes, std::size_t size,
                                                        std::uint32_t* out, std::size_t capacity) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto ids = static_cast<const Tokenizer*>(tokenizer)->encode(text, Trust::Untrusted);
  const auto n = std::min(ids.size(), capacity);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::uint32_t>(ids[i]);
  return ids.size();
}

Result<LlgTokenizer*> make_llg_tokenizer(const Vocabulary& vocabulary) {
  // llguidance marks a token of no text by this byte, which UTF-8 does not have.
  constexpr char kSpecial = '\xFF';
  const Tokenizer& tokenizer = vocabulary.tokenizer;
  std::vector<std::uint32_t> lengths;
  std::string bytes;
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    const auto before = bytes.size();
    if (!vocabulary.has_text(id)) {
      bytes += kSpecial;
      bytes += tokenizer.piece(id);
    } else if (const auto text = tokenizer.bytes(id); text != std::string_view(&kSpecial, 1)) {
      bytes += text;
    }
    lengths.push_back(static_cast<std::uint32_t>(bytes.size() - before));
  }
  LlgTokenizerInitV2 init = {};
  init.struct_size = sizeof(init);
  init.vocab_size = static_cast<std::uint32_t>(tokenizer.vocab_size());
  init.tok_eos = static_cast<std::uint32_t>(tokenizer.control().eos);
  init.token_lens = lengths.data();
  init.token_bytes = reinterpret_cast<const std::uint8_t*>(bytes.data());
  init.tokenize_fn = fourfold_tokenize_for_llguidance;
  init.tokenize_user_data = &tokenizer;
  char message[300] = {};
  LlgTokenizer* made = llg_new_tokenizer_v2(&init, message, sizeof(message));
  if (made == nullptr) return internal_error("constraints: {}", first_line(message));
  return made;
}

}  // namespace

struct Constraint::Impl {
  Impl(std::shared_ptr<const Vocabulary> v, std::shared_ptr<Compiled> c)
      : vocabulary(std::move(v)),
        compiled(std::move(c)),
        used(compiled->take()),
        tracker(compiled->content == Content::Call ? Notation::Call : Notation::Json) {
    const auto n_bytes = llg_matcher_get_mask_byte_size(matcher());
    mask.resize(std::max(vocabulary->n_words(), (n_bytes + 7) / 8));
  }
  Impl(const Impl& other)
      : vocabulary(other.vocabulary),
        compiled(other.compiled),
        used{Matcher(llg_clone_matcher(other.matcher())), other.used.n_tokens},
        tracker(other.tracker),
        ids(other.ids),
        n_given(other.n_given),
        mask(other.mask),
        has_mask(other.has_mask),
        is_free(other.is_free) {}
  Impl& operator=(const Impl&) = delete;
  ~Impl() { compiled->give_back(std::move(used)); }

  LlgMatcher* matcher() const { return used.matcher.get(); }
  bool is_stopped() const { return llg_matcher_is_stopped(matcher()); }
  bool is_complete() const { return is_stopped() && !llg_matcher_is_error(matcher()); }

  Status compute_mask();
  bool fill_mask();
  Status consume(TokenId id);
  bool may_come(TokenId id);
  bool start_again();
  void track(TokenId id);

  std::shared_ptr<const Vocabulary> vocabulary;
  std::shared_ptr<Compiled> compiled;
  UsedMatcher used;
  ValueTracker tracker;
  std::vector<TokenId> ids;  // all that came, begin_with() first
  std::size_t n_given = 0;   // of begin_with()
  std::vector<std::uint64_t> mask;
  bool has_mask = false;
  bool is_free = false;  // most ids may come
};

Status Constraint::Impl::compute_mask() {
  if (has_mask) return {};
  if (!fill_mask() && !(start_again() && fill_mask())) {
    return resource_exhausted("the constraint cannot go on: {}", error_of(matcher()));
  }
  const Tokenizer& tokenizer = vocabulary->tokenizer;
  if (const TokenId eos = tokenizer.control().eos; eos != kNoToken) clear_id(mask, eos);
  if (compiled->content != Content::Call) {
    const auto text = tokenizer.text_ids();
    for (std::size_t word = 0; word < text.size(); ++word) mask[word] &= text[word];
  }
  int n_allowed = 0;
  for (const auto word : mask) n_allowed += std::popcount(word);
  is_free = n_allowed >= tokenizer.vocab_size() / kFreeShare;
  has_mask = true;
  return {};
}

bool Constraint::Impl::fill_mask() {
  std::ranges::fill(mask, 0);
  if (is_stopped()) return !llg_matcher_is_error(matcher());
  auto* words = reinterpret_cast<std::uint32_t*>(mask.data());
  const auto n_bytes = llg_matcher_get_mask_byte_size(matcher());
  return llg_matcher_compute_mask_into(matcher(), words, n_bytes) == 0;
}

// After an error: the automaton may just have grown too large, most of it for masks of the past.
bool Constraint::Impl::start_again() {
  used = {compiled->take_fresh(), ids.size()};
  const std::vector<std::uint32_t> tokens(ids.begin(), ids.end());
  return llg_matcher_consume_tokens(matcher(), tokens.data(), tokens.size()) == 0;
}

bool Constraint::Impl::may_come(TokenId id) {
  const auto token = static_cast<std::uint32_t>(id);
  return llg_matcher_validate_tokens(matcher(), &token, 1) == 1;
}

Status Constraint::Impl::consume(TokenId id) {
  const bool is_content = vocabulary->tokenizer.is_valid(id) &&
                          id != vocabulary->tokenizer.control().eos &&
                          (compiled->content == Content::Call || vocabulary->has_text(id));
  const auto not_allowed = [&] { return invalid_argument("token {} is not allowed here", id); };
  if (!is_content || is_complete()) return not_allowed();
  bool allowed_here = may_come(id);
  if (llg_matcher_is_error(matcher()) && start_again()) allowed_here = may_come(id);
  if (!allowed_here && !llg_matcher_is_error(matcher())) return not_allowed();
  if (!allowed_here || llg_matcher_consume_token(matcher(), static_cast<std::uint32_t>(id)) != 0) {
    return resource_exhausted("the constraint cannot go on: {}", error_of(matcher()));
  }
  has_mask = false;
  ids.push_back(id);
  ++used.n_tokens;
  track(id);
  return {};
}

void Constraint::Impl::track(TokenId id) {
  if (id == vocabulary->tokenizer.control().quote) {
    tracker.add_quote();
  } else if (vocabulary->has_text(id)) {
    tracker.add(vocabulary->tokenizer.bytes(id));
  }
}

Constraint::Constraint(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Constraint::Constraint(Constraint&&) noexcept = default;
Constraint& Constraint::operator=(Constraint&&) noexcept = default;
Constraint::~Constraint() = default;

Constraint Constraint::copy() const { return Constraint(std::make_unique<Impl>(*impl_)); }

Result<std::span<const std::uint64_t>> Constraint::allowed() {
  TRY(impl_->compute_mask());
  return std::span<const std::uint64_t>(impl_->mask).first(impl_->vocabulary->n_words());
}

bool Constraint::is_accepting() const {
  if (llg_matcher_is_error(impl_->matcher())) return false;
  return impl_->is_stopped() || llg_matcher_is_accepting(impl_->matcher());
}

bool Constraint::is_complete() const { return impl_->is_complete(); }

Result<std::vector<TokenId>> Constraint::forced() {
  if (impl_->is_stopped()) return std::vector<TokenId>();
  std::uint32_t tokens[kMaxForced];
  const auto n = llg_matcher_compute_ff_tokens(impl_->matcher(), tokens, kMaxForced);
  if (n < 0) {
    return resource_exhausted("the constraint cannot go on: {}", error_of(impl_->matcher()));
  }
  return std::vector<TokenId>(tokens, tokens + n);
}

bool Constraint::may_penalise(TokenId id) const {
  const bool has_strings = impl_->compiled->content != Content::Text;
  return has_strings && impl_->has_mask && impl_->is_free && impl_->tracker.in_string_value() &&
         impl_->vocabulary->tokenizer.is_valid(id) && impl_->vocabulary->has_text(id) &&
         impl_->tracker.stays_in_string(impl_->vocabulary->tokenizer.bytes(id));
}

Status Constraint::commit(TokenId id) { return impl_->consume(id); }

Status Constraint::rollback(int n_tokens) {
  const auto n = static_cast<std::size_t>(n_tokens);
  if (n_tokens < 0 || n > impl_->ids.size() - impl_->n_given) {
    return internal_error("rollback of {} tokens, {} were committed", n_tokens,
                          impl_->ids.size() - impl_->n_given);
  }
  if (n == 0) return {};
  if (llg_matcher_rollback(impl_->matcher(), n) != 0) {
    return internal_error("the constraint cannot go back: {}", error_of(impl_->matcher()));
  }
  impl_->has_mask = false;
  impl_->ids.resize(impl_->ids.size() - n);
  impl_->tracker.reset();
  for (const TokenId id : impl_->ids) impl_->track(id);
  return {};
}

Status Constraint::begin_with(std::string_view text) {
  if (!impl_->ids.empty()) return internal_error("begin_with() after the first token");
  for (std::size_t i = 0; i < text.size(); ++i) {
    const TokenId id = impl_->vocabulary->byte_ids[static_cast<unsigned char>(text[i])];
    if (id == kNoToken) return failed_precondition("this vocabulary has no byte pieces");
    const auto status = impl_->consume(id);
    if (!status.ok() && status.error().code == Code::InvalidArgument) {
      return invalid_argument("byte {}: no document that the constraint describes begins so", i);
    }
    TRY(status);
  }
  impl_->n_given = impl_->ids.size();
  return {};
}

const std::vector<std::string>& Constraint::loosened() const { return impl_->compiled->loosened; }

struct ConstraintFactory::Impl {
  explicit Impl(const Tokenizer& t) : tokenizer(t) {}

  // Lark source for a request, made only if it is not known yet.
  using Source = Result<GrammarSource>;
  template <class MakeSource>
  Result<Constraint> make(std::string key, Content content, MakeSource make_source) {
    auto compiled = find(key);
    if (compiled == nullptr) {
      auto source = TRY(Source(make_source()));
      compiled = TRY(compile(content, std::move(source)));
      remember(std::move(key), compiled);
    }
    return Constraint(std::make_unique<Constraint::Impl>(vocabulary, std::move(compiled)));
  }

  Status prepare();
  Result<std::shared_ptr<Compiled>> compile(Content content, GrammarSource source);
  std::shared_ptr<Compiled> find(const std::string& key);
  void remember(std::string key, std::shared_ptr<Compiled> compiled);

  const Tokenizer& tokenizer;
  std::mutex mutex;  // of all below
  std::shared_ptr<const Vocabulary> vocabulary;
  std::unique_ptr<LlgTokenizer, FreeTokenizer> llg_tokenizer;
  std::list<std::pair<std::string, std::shared_ptr<Compiled>>> recent;  // used last first
  std::map<std::string, decltype(recent)::iterator, std::less<>> by_key;
};

Status ConstraintFactory::Impl::prepare() {
  const std::lock_guard lock(mutex);
  if (llg_tokenizer) return {};
  vocabulary = std::make_shared<Vocabulary>(tokenizer);
  llg_tokenizer.reset(TRY(make_llg_tokenizer(*vocabulary)));
  return {};
}

Result<std::shared_ptr<Compiled>> ConstraintFactory::Impl::compile(Content content,
                                                                   GrammarSource source) {
  if (source.text.find('\0') != std::string::npos) {
    return invalid_argument("the grammar contains a NUL character");
  }
  TRY(prepare());
  LlgConstraintInit init = {};
  llg_constraint_init_set_defaults(&init, llg_tokenizer.get());
  init.log_stderr_level = 0;
  init.limits = kLimits;
  auto compiled = std::make_shared<Compiled>();
  compiled->content = content;
  compiled->loosened = std::move(source.loosened);
  compiled->fresh.reset(llg_new_matcher(&init, "lark", source.text.c_str()));
  if (llg_matcher_is_error(compiled->fresh.get())) {
    return invalid_argument("the grammar cannot be compiled: {}", error_of(compiled->fresh.get()));
  }
  return compiled;
}

std::shared_ptr<Compiled> ConstraintFactory::Impl::find(const std::string& key) {
  const std::lock_guard lock(mutex);
  const auto at = by_key.find(key);
  if (at == by_key.end()) return nullptr;
  recent.splice(recent.begin(), recent, at->second);
  return at->second->second;
}

void ConstraintFactory::Impl::remember(std::string key, std::shared_ptr<Compiled> compiled) {
  const std::lock_guard lock(mutex);
  if (by_key.contains(key)) return;  // another thread was faster
  recent.emplace_front(std::move(key), std::move(compiled));
  by_key.emplace(recent.front().first, recent.begin());
  if (recent.size() <= kCacheSize) return;
  by_key.erase(recent.back().first);
  recent.pop_back();
}

ConstraintFactory::ConstraintFactory(const Tokenizer& tokenizer)
    : impl_(std::make_unique<Impl>(tokenizer)) {}
ConstraintFactory::~ConstraintFactory() = default;

bool ConstraintFactory::is_available() { return true; }

Result<Constraint> ConstraintFactory::json_schema(const JsonValue& schema,
                                                  Unsupported unsupported) {
  const bool loosen = unsupported == Unsupported::Loosen;
  auto key = fmt::format("schema {} {}", loosen, to_json_text(schema));
  return impl_->make(std::move(key), Content::Json, [&]() -> Result<GrammarSource> {
    SchemaGrammar grammar({.notation = Notation::Json, .loosen = loosen});
    const auto value = TRY(grammar.value(schema, "$"));
    return GrammarSource{grammar.source("start: " + value), grammar.loosened()};
  });
}

Result<Constraint> ConstraintFactory::json_object() {
  return impl_->make("object", Content::Json, [] {
    SchemaGrammar grammar({.notation = Notation::Json});
    const auto value = grammar.any_object();
    return GrammarSource{grammar.source("start: " + value), {}};
  });
}

Result<Constraint> ConstraintFactory::any_json() {
  return impl_->make("json", Content::Json, [] {
    SchemaGrammar grammar({.notation = Notation::Json});
    const auto value = grammar.any_value();
    return GrammarSource{grammar.source("start: " + value), {}};
  });
}

Result<Constraint> ConstraintFactory::regex(std::string_view pattern) {
  return impl_->make(
      fmt::format("regex {}", pattern), Content::Text, [&]() -> Result<GrammarSource> {
        const auto parsed = TRY_IN("regex", RegexPattern::parse(pattern, RegexPattern::Search::No));
        const auto body = parsed.terminal(TextForm::Raw);
        return GrammarSource{fmt::format("start: TEXT\nTEXT: {}\n", body), {}};
      });
}

Result<Constraint> ConstraintFactory::grammar(std::string_view text) {
  return impl_->make(fmt::format("grammar {}", text), Content::Text,
                     [&]() -> Result<GrammarSource> {
                       if (is_gbnf(text)) {
                         return GrammarSource{TRY_IN("grammar", lark_from_gbnf(text)), {}};
                       }
                       TRY_IN("grammar", check_names_no_tokens(text));
                       return GrammarSource{std::string(text), {}};
                     });
}

Result<Constraint> ConstraintFactory::tools(const ToolSet& set) {
  std::string key = fmt::format("tools {}", set.parallel);
  for (const auto& name : set.names) key += fmt::format("\n{}", name);
  for (const auto& tool : set.tools) {
    key += fmt::format("\n{}\t{}\t{}", tool.name, static_cast<int>(tool.unsupported),
                       to_json_text(tool.parameters));
  }
  return impl_->make(std::move(key), Content::Call,
                     [&] { return make_tool_grammar(set, impl_->tokenizer.control()); });
}

}  // namespace fourfold
