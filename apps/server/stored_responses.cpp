#include "server/stored_responses.h"

#include <algorithm>
#include <utility>

namespace fourfold {
namespace {

// Conversations with pictures are large; this many of their bytes are kept.
constexpr std::size_t kMostBytes = 256u << 20;

// About what it takes in memory.
std::size_t size_of(const JsonValue& value) {
  std::size_t n = sizeof(JsonValue) + value.text.size();
  for (const auto& item : value.items) n += size_of(item);
  for (const auto& member : value.members) n += member.key.size() + size_of(member.value);
  return n;
}

std::string id_of(const JsonValue& value) {
  const JsonValue* id = value.find("id");
  return id && id->is_string() ? id->text : "";
}

}  // namespace

StoredResponses::StoredResponses(const ServerSettings& settings)
    : StoredResponses(static_cast<std::size_t>(std::max(settings.most_stored_responses, 0)),
                      kMostBytes) {}

StoredResponses::StoredResponses(std::size_t most, std::size_t most_bytes)
    : most_(most), most_bytes_(most_bytes) {}

void StoredResponses::put(const std::string& owner, JsonValue response,
                          std::vector<JsonValue> items) {
  Stored stored{.owner = owner, .id = id_of(response), .items = std::move(items)};
  if (const JsonValue* output = response.find("output")) {
    stored.items.insert(stored.items.end(), output->items.begin(), output->items.end());
  }
  stored.n_bytes = size_of(response);
  for (const auto& item : stored.items) stored.n_bytes += size_of(item);
  stored.response = std::move(response);

  const std::lock_guard lock(mutex_);
  n_bytes_ += stored.n_bytes;
  stored_.push_back(std::move(stored));
  while (!stored_.empty() && (stored_.size() > most_ || n_bytes_ > most_bytes_)) drop_oldest();
}

void StoredResponses::drop_oldest() {
  n_bytes_ -= stored_.front().n_bytes;
  stored_.pop_front();
}

const StoredResponses::Stored* StoredResponses::find_stored(const std::string& owner,
                                                            const std::string& id) const {
  const auto found = std::find_if(stored_.begin(), stored_.end(), [&](const Stored& stored) {
    return stored.id == id && stored.owner == owner;
  });
  return found == stored_.end() ? nullptr : &*found;
}

std::optional<JsonValue> StoredResponses::find(const std::string& owner,
                                               const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const Stored* stored = find_stored(owner, id);
  if (!stored) return std::nullopt;
  return stored->response;
}

std::optional<std::vector<JsonValue>> StoredResponses::find_items(const std::string& owner,
                                                                  const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const Stored* stored = find_stored(owner, id);
  if (!stored) return std::nullopt;
  return stored->items;
}

std::optional<JsonValue> StoredResponses::find_item(const std::string& owner,
                                                    const std::string& item_id) const {
  const std::lock_guard lock(mutex_);
  for (auto stored = stored_.rbegin(); stored != stored_.rend(); ++stored) {
    if (stored->owner != owner) continue;
    for (const auto& item : stored->items) {
      if (id_of(item) == item_id) return item;
    }
  }
  return std::nullopt;
}

bool StoredResponses::remove(const std::string& owner, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(stored_.begin(), stored_.end(), [&](const Stored& stored) {
    return stored.id == id && stored.owner == owner;
  });
  if (found == stored_.end()) return false;
  n_bytes_ -= found->n_bytes;
  stored_.erase(found);
  return true;
}

StoredResponses::Running::Running(StoredResponses& responses, std::string owner, std::string id)
    : responses_(responses), owner_(std::move(owner)), id_(std::move(id)) {
  const std::lock_guard lock(responses_.mutex_);
  responses_.running_[id_] = this;
}

StoredResponses::Running::~Running() {
  const std::lock_guard lock(responses_.mutex_);
  responses_.running_.erase(id_);
}

bool StoredResponses::cancel(const std::string& owner, const std::string& id) {
  std::stop_source source(std::nostopstate);
  {
    const std::lock_guard lock(mutex_);
    const auto found = running_.find(id);
    if (found == running_.end() || found->second->owner_ != owner) return false;
    source = found->second->source_;
  }
  // What it calls may take its time.
  source.request_stop();
  return true;
}

}  // namespace fourfold
