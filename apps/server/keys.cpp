#include "server/keys.h"

#include <sys/stat.h>

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <sstream>

#include "base/sha256.h"
#include "server/http/ascii.h"

namespace fourfold {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kEnvironmentName = "FOURFOLD_API_KEY";
constexpr double kMinuteS = 60.0;
// When a request that runs in parallel may have ended, nobody knows.
constexpr double kParallelRetryS = 1.0;

std::string digest_of(std::string_view text) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(text.data(), text.size())));
  const auto digest = hash.finish();
  return {digest.begin(), digest.end()};
}

// As long for keys that differ early as for keys that differ late.
bool equal_in_constant_time(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  }
  return difference == 0;
}

Status check_key_text(std::string_view text) {
  if (text.empty()) return invalid_argument("the key is empty");
  const bool is_plain = std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
  // The key itself must not be in the message.
  if (!is_plain) return invalid_argument("a key holds printable ASCII without spaces only");
  return {};
}

// ---- the file ----

Result<std::string> parse_digest(std::string_view hex) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  const std::string lower = ascii_lower(hex);
  std::string digest;
  for (std::size_t i = 0; lower.size() == 64 && i < 64; i += 2) {
    const int high = digit(lower[i]), low = digit(lower[i + 1]);
    if (high < 0 || low < 0) break;
    digest += static_cast<char>(high * 16 + low);
  }
  if (digest.size() != 32) return invalid_argument("sha256: expected 64 hexadecimal digits");
  return digest;
}

Result<Scope> parse_scope(const std::string& text) {
  for (const Scope scope : {Scope::Generate, Scope::Files, Scope::Models, Scope::Admin}) {
    if (name(scope) == text) return scope;
  }
  return invalid_argument("scopes: \"{}\" is none (generate, files, models, admin)", text);
}

Result<std::string> read_text(std::string_view field, const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  return invalid_argument("{}: expected a text", field);
}

Result<int> read_integer(std::string_view field, const toml::node& node, int least, int most) {
  const auto* integer = node.as_integer();
  if (!integer || integer->get() < least || integer->get() > most) {
    return invalid_argument("{}: expected a whole number from {} to {}", field, least, most);
  }
  return static_cast<int>(integer->get());
}

Result<std::vector<std::string>> read_texts(std::string_view field, const toml::node& node) {
  const auto* list = node.as_array();
  if (!list) return invalid_argument("{}: expected a list of texts", field);
  std::vector<std::string> texts;
  for (const auto& item : *list) texts.push_back(TRY(read_text(field, item)));
  return texts;
}

Status read_field(Key& key, std::string_view field, const toml::node& node) {
  constexpr int kMost = 1'000'000'000;
  if (field == "name") {
    key.name = TRY(read_text(field, node));
    if (key.name.empty()) return invalid_argument("name: empty");
  } else if (field == "key") {
    const auto text = TRY(read_text(field, node));
    TRY(check_key_text(text));
    key.sha256 = digest_of(text);
  } else if (field == "sha256") {
    const auto text = TRY(read_text(field, node));
    key.sha256 = TRY(parse_digest(text));
  } else if (field == "scopes") {
    key.scopes.clear();
    for (const auto& text : TRY(read_texts(field, node))) key.scopes.insert(TRY(parse_scope(text)));
  } else if (field == "requests_per_minute") {
    key.requests_per_minute = TRY(read_integer(field, node, 1, kMost));
  } else if (field == "tokens_per_minute") {
    key.tokens_per_minute = TRY(read_integer(field, node, 1, kMost));
  } else if (field == "parallel") {
    key.parallel = TRY(read_integer(field, node, 1, kMost));
  } else if (field == "class") {
    key.priority = TRY(read_integer(field, node, -1, 1));
  } else if (field == "models") {
    key.models = TRY(read_texts(field, node));
  } else {
    return invalid_argument(
        "\"{}\" is no field of a key (name, key, sha256, scopes, requests_per_minute, "
        "tokens_per_minute, parallel, class, models)",
        field);
  }
  return {};
}

Result<Key> read_key(const toml::table& table, std::size_t number) {
  Key key;
  key.name = fmt::format("key-{}", number);
  if (table.contains("key") == table.contains("sha256")) {
    return invalid_argument("expected either key or sha256");
  }
  for (const auto& [field, node] : table) TRY(read_field(key, field.str(), node));
  return key;
}

Result<std::vector<Key>> parse_toml_keys(const std::string& text) {
  auto parsed = toml::parse(text);
  if (!parsed) {
    const auto& error = parsed.error();
    return invalid_argument("line {}: {}", error.source().begin.line, error.description());
  }
  const toml::table table = std::move(parsed).table();
  std::vector<Key> keys;
  for (const auto& [field, node] : table) {
    const auto* list = node.as_array();
    if (field != "key" || !list)
      return invalid_argument("\"{}\": expected only [[key]]", field.str());
    for (const auto& item : *list) {
      const auto where = fmt::format("key {}", keys.size() + 1);
      const auto* one = item.as_table();
      if (!one) return invalid_argument("{}: expected [[key]]", where);
      keys.push_back(TRY_IN(where, read_key(*one, keys.size() + 1)));
    }
  }
  return keys;
}

Result<std::vector<Key>> parse_key_lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<Key> keys;
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    const std::string_view key = trim_blanks(line);
    if (key.empty() || key.starts_with('#')) continue;
    TRY_IN(fmt::format("line {}", number), check_key_text(key));
    keys.push_back({.name = fmt::format("key-{}", keys.size() + 1), .sha256 = digest_of(key)});
  }
  return keys;
}

bool looks_like_toml(const std::string& text) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (trim_blanks(line).starts_with("[[")) return true;
  }
  return false;
}

Status check_distinct(const std::vector<Key>& keys) {
  std::set<std::string> names, digests;
  for (const auto& key : keys) {
    if (!names.insert(key.name).second)
      return invalid_argument("two keys have the name {}", key.name);
    if (!digests.insert(key.sha256).second) {
      return invalid_argument("{}: the same key stands there twice", key.name);
    }
  }
  return {};
}

// An empty file is an error: without keys everybody could do everything.
Result<std::vector<Key>> parse_keys(const std::string& text) {
  auto keys = TRY(looks_like_toml(text) ? parse_toml_keys(text) : parse_key_lines(text));
  if (keys.empty()) return invalid_argument("no key in it (one a line, or [[key]] tables)");
  TRY(check_distinct(keys));
  return keys;
}

Result<std::vector<Key>> read_keys(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return not_found("{}: the key file cannot be read", path);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  return TRY_IN(path, parse_keys(text));
}

// ---- limits ----

// So much a minute; what is not used is saved up to one minute's worth.
class Bucket {
 public:
  explicit Bucket(int per_minute) : per_minute_(per_minute), level_(per_minute) {}

  // Seconds until at least `wanted` are there; 0 for now.
  double wait_s(double wanted, Clock::time_point now) {
    refill(now);
    return level_ >= wanted ? 0.0 : (wanted - level_) * kMinuteS / per_minute_;
  }
  // May go below nothing: what was used is known only afterwards.
  void take(double amount) { level_ -= amount; }
  int per_minute() const { return static_cast<int>(per_minute_); }

 private:
  void refill(Clock::time_point now) {
    const std::chrono::duration<double> passed = now - filled_;
    filled_ = now;
    level_ = std::min(per_minute_, level_ + passed.count() * per_minute_ / kMinuteS);
  }

  double per_minute_;
  double level_;
  Clock::time_point filled_ = Clock::now();
};

struct Use {
  std::optional<Bucket> requests, tokens;
  int n_parallel = 0;
};

void fit(std::optional<Bucket>& bucket, std::optional<int> per_minute) {
  if (!per_minute) {
    bucket.reset();
  } else if (!bucket || bucket->per_minute() != *per_minute) {
    bucket.emplace(*per_minute);
  }
}

Error rate_limit(const Key& key, std::string_view what, double wait_s) {
  const double wait = std::max(wait_s, 0.001);
  return resource_exhausted("key {}: {} reached; try again in {} s", key.name, what,
                            static_cast<std::int64_t>(std::ceil(wait)))
      .with({.reason = "rate_limit_exceeded", .retry_after_s = wait});
}

void add_if_any(std::vector<std::string>& keys, std::string_view text) {
  text = trim_blanks(text);
  if (!text.empty()) keys.emplace_back(text);
}

}  // namespace

std::vector<std::string> presented_keys(const RequestHead& head, const RouteMatch& match) {
  std::vector<std::string> keys;
  add_if_any(keys, head.header("x-goog-api-key"));
  const auto [first, last] = match.query.equal_range("key");
  for (auto it = first; it != last; ++it) add_if_any(keys, it->second);
  const std::string_view authorization = head.header("authorization");
  const auto space = std::min(authorization.find(' '), authorization.size());
  if (ascii_equal(authorization.substr(0, space), "bearer")) {
    add_if_any(keys, authorization.substr(space));
  }
  add_if_any(keys, head.header("x-api-key"));
  add_if_any(keys, head.header("api-key"));
  return keys;
}

std::optional<std::string> take_key_from_environment() {
  char* value = std::getenv(kEnvironmentName);
  if (!value) return std::nullopt;
  std::string key(trim_blanks(value));
  std::memset(value, 0, std::strlen(value));  // /proc/self/environ shows this very memory
  ::unsetenv(kEnvironmentName);
  if (key.empty()) return std::nullopt;
  return key;
}

struct Keys::Impl {
  std::string path;  // empty: no file

  mutable std::mutex mutex;
  std::vector<std::shared_ptr<const Key>> of_file, added;
  std::map<std::string, Use> uses;  // by digest, so that they outlive a reload

  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto* list : {&of_file, &added}) {
      for (const auto& key : *list) visit(key);
    }
  }

  void set_file_keys(std::vector<Key> keys) {
    of_file.clear();
    for (auto& key : keys) of_file.push_back(std::make_shared<const Key>(std::move(key)));
  }
};

Keys::Keys() : impl_(std::make_unique<Impl>()) {}
Keys::~Keys() = default;

Result<std::unique_ptr<Keys>> Keys::load(const std::string& path, std::vector<std::string>& notes) {
  auto keys = std::make_unique<Keys>();
  keys->impl_->path = path;
  TRY(keys->reload());
  struct ::stat facts = {};
  if (::stat(path.c_str(), &facts) == 0 && (facts.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    notes.push_back(fmt::format("{}: other users can read the keys (chmod 600)", path));
  }
  return keys;
}

Status Keys::add(std::string name, std::string_view key) {
  TRY_IN(name, check_key_text(key));
  const std::lock_guard lock(impl_->mutex);
  impl_->added.push_back(
      std::make_shared<const Key>(Key{.name = std::move(name), .sha256 = digest_of(key)}));
  return {};
}

Status Keys::reload() {
  if (impl_->path.empty()) return {};
  auto keys = TRY(read_keys(impl_->path));
  const std::lock_guard lock(impl_->mutex);
  impl_->set_file_keys(std::move(keys));
  return {};
}

bool Keys::is_empty() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->of_file.empty() && impl_->added.empty();
}

std::vector<std::string> Keys::digests() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<std::string> digests;
  impl_->for_each([&](const auto& key) { digests.push_back(key->sha256); });
  return digests;
}

std::shared_ptr<const Key> Keys::find(std::string_view text) const {
  const std::string digest = digest_of(text);
  std::shared_ptr<const Key> found;
  const std::lock_guard lock(impl_->mutex);
  impl_->for_each([&](const auto& key) {
    if (equal_in_constant_time(key->sha256, digest)) found = key;
  });
  return found;
}

Status Keys::admit(const Key& key) {
  const auto now = Clock::now();
  const std::lock_guard lock(impl_->mutex);
  Use& use = impl_->uses[key.sha256];
  fit(use.requests, key.requests_per_minute);
  fit(use.tokens, key.tokens_per_minute);
  if (key.parallel && use.n_parallel >= *key.parallel) {
    return rate_limit(key, fmt::format("its limit of {} parallel requests", *key.parallel),
                      kParallelRetryS);
  }
  const double token_wait = use.tokens ? use.tokens->wait_s(1.0, now) : 0.0;
  if (token_wait > 0.0) {
    return rate_limit(key, fmt::format("its limit of {} tokens a minute", *key.tokens_per_minute),
                      token_wait);
  }
  const double request_wait = use.requests ? use.requests->wait_s(1.0, now) : 0.0;
  if (request_wait > 0.0) {
    return rate_limit(key,
                      fmt::format("its limit of {} requests a minute", *key.requests_per_minute),
                      request_wait);
  }
  if (use.requests) use.requests->take(1.0);
  ++use.n_parallel;
  return {};
}

void Keys::count_tokens(const Key& key, std::int64_t n_tokens) {
  const std::lock_guard lock(impl_->mutex);
  Use& use = impl_->uses[key.sha256];
  if (use.tokens) use.tokens->take(static_cast<double>(n_tokens));
}

void Keys::leave(const Key& key) {
  const std::lock_guard lock(impl_->mutex);
  Use& use = impl_->uses[key.sha256];
  use.n_parallel = std::max(0, use.n_parallel - 1);
}

}  // namespace fourfold
