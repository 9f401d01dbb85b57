#include "server/caches.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "api/identifiers.h"

namespace fourfold {
namespace {

std::int64_t system_now_s() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

Error cache_not_found(std::string_view id) {
  return not_found("cachedContents/{} was not found, or has expired", id);
}

}  // namespace

Caches::Caches(Models& models, std::function<std::int64_t()> now_s)
    : models_(models), now_s_(now_s ? std::move(now_s) : system_now_s) {}

std::vector<Caches::Entry> Caches::take_expired() {
  const std::lock_guard lock(mutex_);
  const auto now = now_s_();
  std::vector<Entry> expired;
  std::erase_if(entries_, [&](auto& entry) {
    const bool is_over = entry.second.content.expires_s <= now;
    if (is_over) expired.push_back(std::move(entry.second));
    return is_over;
  });
  return expired;
}

// Where the model is not loaded any more, nothing of it is held.
void Caches::unpin(const std::vector<Entry>& entries) {
  for (const auto& entry : entries) {
    const auto loaded = models_.loaded();
    const bool is_loaded = std::ranges::any_of(
        loaded, [&](const LoadedModel& model) { return model.facts.id == entry.content.model; });
    if (!is_loaded) continue;
    const auto lease = models_.acquire(entry.content.model, {});
    if (!lease || &lease->service() != entry.pinned_in) continue;
    for (const auto& keys : entry.content.prefixes) lease->service().unpin_prefix(keys);
  }
}

void Caches::forget_expired() { unpin(take_expired()); }

CachedContent Caches::add(CachedContent content, std::int64_t lifetime_s) {
  forget_expired();
  const std::lock_guard lock(mutex_);
  do {
    content.id = random_lower_id("");
  } while (entries_.contains(content.id));
  content.created_s = content.updated_s = now_s_();
  content.expires_s = content.created_s + lifetime_s;
  entries_[content.id].content = content;
  return content;
}

std::vector<CachedContent> Caches::list() {
  forget_expired();
  const std::lock_guard lock(mutex_);
  std::vector<CachedContent> contents;
  for (const auto& [id, entry] : entries_) contents.push_back(entry.content);
  std::ranges::stable_sort(contents, std::greater(), &CachedContent::created_s);
  return contents;
}

Result<CachedContent> Caches::find(std::string_view id) {
  forget_expired();
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return cache_not_found(id);
  return found->second.content;
}

Result<CachedContent> Caches::set_expiry(std::string_view id, std::int64_t expires_s) {
  forget_expired();
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return cache_not_found(id);
  CachedContent& content = found->second.content;
  content.expires_s = expires_s;
  content.updated_s = now_s_();
  return content;
}

Status Caches::remove(std::string_view id) {
  forget_expired();
  std::vector<Entry> removed;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) return cache_not_found(id);
    removed.push_back(std::move(found->second));
    entries_.erase(found);
  }
  unpin(removed);
  return {};
}

void Caches::pin(const CachedContent& content, ChatService& service) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(content.id);
    if (found == entries_.end() || found->second.pinned_in == &service) return;
    found->second.pinned_in = &service;
  }
  for (const auto& keys : content.prefixes) service.pin_prefix(keys);
}

}  // namespace fourfold
