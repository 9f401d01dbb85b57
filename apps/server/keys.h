// API keys: who may do what, how often (http-apis.md 1.6, 6.5).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/http/exchange.h"
#include "server/router.h"

namespace fourfold {

struct Key {
  std::string name;
  std::string sha256;  // 32 bytes; the key itself is not kept
  std::set<Scope> scopes = {Scope::Generate, Scope::Files};
  std::optional<int> requests_per_minute, tokens_per_minute, parallel;
  int priority = 0;                 // class: the highest its requests may have
  std::vector<std::string> models;  // empty: all
};

// What a request presents as keys, in any of the places; empty ones count as absent.
std::vector<std::string> presented_keys(const RequestHead& head, const RouteMatch& match);

// FOURFOLD_API_KEY, which is then no longer in the environment, nor in /proc. Before there are
// threads.
std::optional<std::string> take_key_from_environment();

class Keys {
 public:
  // No keys: everybody may do everything.
  Keys();
  ~Keys();
  // One key a line, or TOML [[key]]. Notes: a file that others can read.
  static Result<std::unique_ptr<Keys>> load(const std::string& path,
                                            std::vector<std::string>& notes);
  // InvalidArgument for one that is empty or holds what no header can.
  Status add(std::string name, std::string_view key);
  // On SIGHUP; the old ones stay if the file cannot be read.
  Status reload();

  bool is_empty() const;
  // Of all keys, for the redaction of the log.
  std::vector<std::string> digests() const;
  // The key of this text; compared in constant time.
  std::shared_ptr<const Key> find(std::string_view text) const;
  // ResourceExhausted "rate_limit_exceeded" with the time to wait. Counts the request.
  Status admit(const Key& key);
  void count_tokens(const Key& key, std::int64_t n_tokens);
  void leave(const Key& key);  // the request has ended

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fourfold
