// The last responses of the Responses API, in memory, and those that are being made: the state
// behind previous_response_id, item references and POST …/cancel (http-apis.md 3.7).
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/json_value.h"
#include "server/server_state.h"

namespace fourfold {

// Any number of threads. What an owner has stored nobody else sees.
class StoredResponses {
 public:
  explicit StoredResponses(const ServerSettings& settings);
  StoredResponses(std::size_t most, std::size_t most_bytes);

  // `items`: all of the conversation that led to the response, without its output.
  void put(const std::string& owner, JsonValue response, std::vector<JsonValue> items);
  std::optional<JsonValue> find(const std::string& owner, const std::string& id) const;
  // The conversation with the response's output.
  std::optional<std::vector<JsonValue>> find_items(const std::string& owner,
                                                   const std::string& id) const;
  // An item of any stored conversation.
  std::optional<JsonValue> find_item(const std::string& owner, const std::string& item_id) const;
  bool remove(const std::string& owner, const std::string& id);

  // A response that is being made, as long as this object lives.
  class Running {
   public:
    Running(StoredResponses& responses, std::string owner, std::string id);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    std::stop_token cancelled() const { return source_.get_token(); }

   private:
    friend class StoredResponses;

    StoredResponses& responses_;
    const std::string owner_, id_;
    std::stop_source source_;
  };
  // False if no such response is being made.
  bool cancel(const std::string& owner, const std::string& id);

 private:
  struct Stored {
    std::string owner, id;
    JsonValue response;
    std::vector<JsonValue> items;
    std::size_t n_bytes = 0;
  };

  const Stored* find_stored(const std::string& owner, const std::string& id) const;
  void drop_oldest();

  const std::size_t most_, most_bytes_;
  mutable std::mutex mutex_;
  std::deque<Stored> stored_;  // oldest first
  std::size_t n_bytes_ = 0;
  std::map<std::string, Running*> running_;  // by id
};

}  // namespace fourfold
