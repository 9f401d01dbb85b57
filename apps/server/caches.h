// Beginnings of prompts that clients want to stay computed: Gemini's cachedContents
// (http-apis.md 2.13). Any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.h"
#include "base/result.h"
#include "server/models.h"

namespace fourfold {

struct CachedContent {
  std::string id;
  std::string model;  // canonical id
  std::string display_name;
  JsonValue body;  // systemInstruction, tools, toolConfig, contents, as the client sent them
  std::int64_t created_s = 0, updated_s = 0, expires_s = 0;
  std::int64_t n_tokens = 0;
  MediaTokens media;  // of them
  // What is pinned in the model's prefix cache: the beginning, with and without thinking.
  std::vector<std::vector<PositionKey>> prefixes;
};

class Caches {
 public:
  explicit Caches(Models& models, std::function<std::int64_t()> now_s = nullptr);

  std::int64_t now_s() const { return now_s_(); }

  // Gives it an id and its times. Nothing is pinned yet.
  CachedContent add(CachedContent content, std::int64_t lifetime_s);
  // Newest first.
  std::vector<CachedContent> list();
  // NotFound, also for what has expired.
  Result<CachedContent> find(std::string_view id);
  Result<CachedContent> set_expiry(std::string_view id, std::int64_t expires_s);
  Status remove(std::string_view id);

  // Keeps its prefixes in this service, unless that was done already.
  void pin(const CachedContent& content, ChatService& service);

 private:
  struct Entry {
    CachedContent content;
    const ChatService* pinned_in = nullptr;
  };

  // Takes out what has expired; the caller unpins it without holding the mutex.
  std::vector<Entry> take_expired();
  void unpin(const std::vector<Entry>& entries);
  void forget_expired();

  Models& models_;
  std::function<std::int64_t()> now_s_;
  std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace fourfold
