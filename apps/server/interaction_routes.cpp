// Gemini's interactions: answers that are kept, so that the next request can go on from them
// (http-apis.md 2.14).
#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "api/identifiers.h"
#include "api/interactions.h"
#include "server/call.h"
#include "server/chat_flow.h"
#include "server/gemini_call.h"

namespace fourfold {
namespace {

// The newest ones, in memory.
class StoredInteractions {
 public:
  struct Stored {
    JsonValue interaction;
    JsonValue steps;  // of the whole conversation, the answer's among them
  };

  void add(const std::string& id, Stored stored, std::size_t most) {
    const std::lock_guard lock(mutex_);
    stored_[id] = std::move(stored);
    order_.push_back(id);
    while (order_.size() > most) {
      stored_.erase(order_.front());
      order_.pop_front();
    }
  }

  Result<Stored> find(const std::string& id) const {
    const std::lock_guard lock(mutex_);
    const auto found = stored_.find(id);
    if (found == stored_.end()) return not_found("interaction {} was not found", id);
    return found->second;
  }

  Status remove(const std::string& id) {
    const std::lock_guard lock(mutex_);
    if (stored_.erase(id) == 0) return not_found("interaction {} was not found", id);
    std::erase(order_, id);
    return {};
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Stored> stored_;
  std::deque<std::string> order_;
};

using Store = std::shared_ptr<StoredInteractions>;

InteractionOptions interaction_options(Call& call) {
  auto gemini = gemini_options(call, "");
  InteractionOptions options;
  options.thinks_by_default = gemini.thinks_by_default;
  options.ignore_server_tools = gemini.ignore_server_tools;
  options.content = std::move(gemini.content);
  options.billing_prefixes = std::move(gemini.billing_prefixes);
  options.refuse_broken_calls = gemini.refuse_broken_calls;
  return options;
}

Status create(Call& call, const Store& store) {
  const auto body = TRY(call.json_body());
  auto options = interaction_options(call);
  const auto previous_id = TRY(previous_interaction_id(body));
  StoredInteractions::Stored previous;
  if (!previous_id.empty()) {
    previous = TRY(store->find(previous_id));
    options.history = &previous.steps;
  }
  auto request = TRY(parse_interaction(body, options));
  const auto most =
      static_cast<std::size_t>(std::max(0, call.server().settings.most_stored_responses));
  const auto keep = [&](const JsonValue& interaction) {
    if (!request.store) return;
    JsonValue steps = request.steps;
    for (const auto& step : interaction.find("steps")->items) steps.items.push_back(step);
    store->add(interaction.find("id")->text, {interaction, std::move(steps)}, most);
  };
  InteractionFormatter formatter({.id = random_id("v1_", 32),
                                  .include_thoughts = request.include_thoughts,
                                  .sealer = &call.server().sealer,
                                  .on_end = keep});
  ChatCall chat;
  chat.model = request.model;
  chat.chat = std::move(request.chat);
  chat.stream = request.stream;
  chat.warnings = std::move(request.warnings);
  TRY(answer_chat(call, std::move(chat), formatter));
  return {};
}

}  // namespace

void add_interaction_routes(Handlers& handlers) {
  const auto store = std::make_shared<StoredInteractions>();
  handlers.add("gemini.interactions.create", [store](Call& call) { return create(call, store); });
  handlers.add("gemini.interactions.get", [store](Call& call) -> Status {
    const auto stored = TRY(store->find(call.parameter("id")));
    call.reply(200, stored.interaction);
    return {};
  });
  handlers.add("gemini.interactions.delete", [store](Call& call) -> Status {
    TRY(store->remove(call.parameter("id")));
    call.reply(200, JsonValue::object());
    return {};
  });
  // Only background interactions go on without their client, and there are none.
  handlers.add("gemini.interactions.cancel", [store](Call& call) -> Status {
    TRY(store->find(call.parameter("id")));
    return failed_precondition("interaction {} has ended already", call.parameter("id"))
        .with({.reason = ""});
  });
}

}  // namespace fourfold
