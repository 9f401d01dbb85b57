#include "server/models.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include "base/resources.h"
#include "base/sha256.h"
#include "formats/media_config.h"
#include "server/made_models.h"
#include "server/model_facts.h"

namespace fourfold {
namespace {

using Clock = std::chrono::steady_clock;

// A file with weights, loaded or not.
struct Body {
  ModelFacts facts;
  bool is_pinned = false;  // of the command line: stays loaded

  std::unique_ptr<ChatService> service;
  bool is_busy = false;              // being loaded or unloaded
  std::optional<Error> load_error;   // of the last attempt
  std::uint64_t reserved_bytes = 0;  // of the memory budget
  double load_ms = 0.0;
  int n_leases = 0;
  std::optional<KeepAlive> keep_alive;  // as the latest request wants it
  Clock::time_point last_use;
};

// A name that the server offers, over a body.
struct Entry {
  ModelFacts facts;
  std::shared_ptr<Body> body;
  std::string from;  // of a made model: the name that it was made from

  bool is_made() const { return !from.empty(); }
};

Error unavailable(std::string message, std::string reason, double retry_after_s) {
  return Error{Code::Unavailable, std::move(message)}.with(
      {.reason = std::move(reason), .retry_after_s = retry_after_s});
}

Error unknown_model(std::string_view name) {
  return not_found("model '{}' not found", name).with({.reason = "model_not_found"});
}

Error load_failed(const Error& error) {
  return Error{error.code, error.message}.with({.reason = "model_load_failed"});
}

// Where a made model's `from` is not a name.
bool is_path(std::string_view from) { return from.starts_with('/'); }

bool is_split_part_beyond_first(const std::string& name) {
  const auto of = name.rfind("-of-");
  return of != std::string::npos && of >= 6 && name.compare(of - 6, 6, "-00001") != 0;
}

bool is_model_path(const std::filesystem::directory_entry& file) {
  std::error_code ignored;
  if (file.is_directory(ignored)) {
    return std::filesystem::exists(file.path() / "config.json", ignored);
  }
  return file.path().extension() == ".gguf" &&
         !is_split_part_beyond_first(file.path().stem().string());
}

// In alphabetical order, so that every start finds the same names.
std::vector<std::string> models_in(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(folder, error)) {
    if (is_model_path(file)) paths.push_back(file.path().string());
  }
  std::ranges::sort(paths);
  return paths;
}

// Encoders alone: they are taken with the model that they lie beside.
bool is_projector(const std::string& path) {
  const auto checkpoint = Checkpoint::open(path);
  return checkpoint.ok() && is_mmproj(*checkpoint);
}

std::int64_t unix_s(Clock::time_point time) {
  const auto from_now = time - Clock::now();
  const auto then = std::chrono::system_clock::now() +
                    std::chrono::duration_cast<std::chrono::system_clock::duration>(from_now);
  return std::chrono::duration_cast<std::chrono::seconds>(then.time_since_epoch()).count();
}

}  // namespace

struct Models::Impl {
  using Lock = std::unique_lock<std::mutex>;

  ModelsOptions options;
  std::uint64_t budget_bytes = 0;

  mutable std::mutex mutex;
  std::condition_variable_any changed;
  std::uint64_t n_changes = 0;
  std::vector<std::shared_ptr<Body>> bodies;
  std::vector<std::shared_ptr<Entry>> entries;
  std::vector<MadeModel> made;
  bool is_ready = false;
  std::jthread idle_watch;  // last: it uses all of the above

  void note_change() {
    n_changes += 1;
    changed.notify_all();
  }

  // --- Names ---

  static bool answers_to(const Entry& entry, std::string_view comparable) {
    const auto is_it = [&](const std::string& name) { return comparable_name(name) == comparable; };
    return is_it(entry.facts.id) || std::ranges::any_of(entry.facts.names, is_it);
  }

  std::shared_ptr<Entry> find_exact(std::string_view name) const {
    const std::string comparable = comparable_name(name);
    // A name of the user's own goes before one that came with a file.
    for (const auto& entry : entries) {
      if (comparable_name(entry->facts.id) == comparable) return entry;
    }
    for (const auto& entry : entries) {
      if (answers_to(*entry, comparable)) return entry;
    }
    return nullptr;
  }

  std::shared_ptr<Entry> find(std::string_view name) const {
    if (auto entry = find_exact(name)) return entry;
    for (const auto& [alias, target] : options.aliases) {
      if (comparable_name(alias) == comparable_name(name)) return find_exact(target);
    }
    return options.only_model_answers_to_all && entries.size() == 1 ? entries.front() : nullptr;
  }

  // --- Finding ---

  bool knows_path(const std::string& path) const {
    std::error_code ignored;
    return std::ranges::any_of(bodies, [&](const auto& body) {
      return std::filesystem::equivalent(body->facts.path, path, ignored);
    });
  }

  // Two files of one model are told apart by what they are made of.
  void make_unique(ModelFacts& facts) const {
    if (!find_exact(facts.id)) return;
    const std::string plain = facts.id, tag = facts.listed_name;
    std::string suffix = slug(facts.quantization);
    for (int n = 2; suffix.empty() || find_exact(plain + "-" + suffix); ++n) {
      suffix = fmt::format("{}", n);
    }
    facts.id = plain + "-" + suffix;
    facts.listed_name = tag.ends_with(":latest") ? facts.id + ":latest" : tag + "-" + suffix;
    std::erase(facts.names, tag);
    facts.names.push_back(facts.listed_name);
  }

  Status add_file(const ModelsOptions::Named& named, bool is_pinned) {
    auto body = std::make_shared<Body>();
    body->facts = TRY(read_model_facts(named.path, options.service.engine));
    body->facts.parameters = options.parameters;
    body->is_pinned = is_pinned;
    if (named.name.empty()) {
      make_unique(body->facts);
    } else {
      body->facts.names.push_back(body->facts.id);
      body->facts.id = body->facts.display_name = named.name;
      const bool has_tag = named.name.find(':') != std::string::npos;
      body->facts.listed_name = has_tag ? named.name : named.name + ":latest";
    }
    entries.push_back(std::make_shared<Entry>(Entry{body->facts, body, {}}));
    bodies.push_back(std::move(body));
    return {};
  }

  Status find_all(std::vector<std::string>& notes) {
    for (const auto& named : options.models) TRY(add_file(named, true));
    for (const auto& folder : options.folders) {
      for (const auto& path : models_in(folder)) {
        if (knows_path(path)) continue;
        const Status added = add_file({.name = {}, .path = path}, false);
        if (!added.ok() && !is_projector(path)) {
          notes.push_back("left out: " + added.error().message);
        }
      }
    }
    add_made(notes);
    return {};
  }

  void add_made(std::vector<std::string>& notes) {
    auto loaded = load_made_models(options.made_models_file);
    if (!loaded.ok()) {
      notes.push_back(loaded.error().message);
      return;
    }
    for (auto& model : *loaded) {
      const Status added = add_entry(model);
      if (!added.ok()) notes.push_back(fmt::format("{}: {}", model.name, added.error().message));
      made.push_back(std::move(model));
    }
  }

  // --- Made models ---

  // What a model is made from: one that has a name, or a file that a client has sent.
  Result<std::shared_ptr<Entry>> base_of(const std::string& from) {
    if (!is_path(from)) {
      auto entry = find(from);
      if (!entry) return unknown_model(from);
      return entry;
    }
    for (const auto& body : bodies) {
      if (body->facts.path == from) return std::make_shared<Entry>(Entry{body->facts, body, {}});
    }
    auto body = std::make_shared<Body>();
    body->facts = TRY(read_model_facts(from, options.service.engine));
    bodies.push_back(body);
    return std::make_shared<Entry>(Entry{body->facts, body, {}});
  }

  Status add_entry(const MadeModel& model) {
    const auto base = TRY(base_of(model.from));
    auto entry = std::make_shared<Entry>(*base);
    ModelFacts& facts = entry->facts;
    entry->from = model.from;
    facts.id = facts.display_name = comparable_name(model.name);
    facts.listed_name = facts.id.find(':') == std::string::npos ? facts.id + ":latest" : facts.id;
    facts.names = {facts.listed_name};
    if (!model.system.empty()) facts.system = model.system;
    facts.parameters = model.parameters;
    facts.messages = model.messages;
    entries.push_back(std::move(entry));
    return {};
  }

  // The entry goes; whoever holds a lease keeps it.
  void forget_made(const Entry& entry) {
    const std::string comparable = comparable_name(entry.facts.id);
    std::erase_if(made,
                  [&](const auto& model) { return comparable_name(model.name) == comparable; });
    std::erase_if(entries, [&](const auto& other) { return other.get() == &entry; });
  }

  Status make(MadeModel model) {
    if (comparable_name(model.name).empty()) return invalid_argument("model: empty");
    if (const auto old = find_exact(model.name)) {
      if (!old->is_made()) {
        return invalid_argument("model '{}' is a file, which is not replaced", model.name);
      }
      if (find(model.from) == old) model.from = old->from;
      forget_made(*old);
    }
    TRY(add_entry(model));
    made.push_back(std::move(model));
    return save_made_models(options.made_models_file, made);
  }

  // --- Memory ---

  std::uint64_t free_bytes() const {
    std::uint64_t reserved = 0;
    for (const auto& body : bodies) reserved += body->reserved_bytes;
    return budget_bytes - std::min(budget_bytes, reserved);
  }

  // What a model may use: its weights, and a share of what is free for K/V. Another share is kept
  // for each model of the command line that is still to come, and one for those loaded on demand.
  std::uint64_t share_of(const Body& body) const {
    const std::uint64_t free = free_bytes();
    std::uint64_t taken = body.facts.least_bytes, n_shares = 1;
    bool are_others_on_demand = false;
    for (const auto& other : bodies) {
      if (other.get() == &body) continue;
      are_others_on_demand |= !other->is_pinned;
      if (!other->is_pinned || other->service) continue;
      taken += other->facts.least_bytes;
      n_shares += 1;
    }
    if (are_others_on_demand) n_shares += 1;
    return body.facts.least_bytes + (free - std::min(free, taken)) / n_shares;
  }

  std::shared_ptr<Body> longest_idle() const {
    std::shared_ptr<Body> oldest;
    for (const auto& body : bodies) {
      if (!body->service || body->n_leases > 0) continue;
      if (!oldest || body->last_use < oldest->last_use) oldest = body;
    }
    return oldest;
  }

  // Ending a service takes a moment; nobody waits for it with the lock.
  void unload(Lock& lock, Body& body) {
    auto service = std::move(body.service);
    body.is_busy = true;
    body.load_error.reset();
    lock.unlock();
    service.reset();
    lock.lock();
    body.is_busy = false;
    body.reserved_bytes = 0;
    body.keep_alive.reset();
    note_change();
  }

  Status make_room(Lock& lock, const Body& body) {
    while (free_bytes() < body.facts.least_bytes) {
      const auto idle = longest_idle();
      if (!idle) {
        return unavailable(
            fmt::format("model '{}' needs {} of memory, {} are free of {}, and no other model is "
                        "idle",
                        body.facts.id, format_size(body.facts.least_bytes),
                        format_size(free_bytes()), format_size(budget_bytes)),
            "no_memory", 10.0);
      }
      unload(lock, *idle);
    }
    return {};
  }

  // --- Loading ---

  Result<std::unique_ptr<ChatService>> open(const ModelFacts& facts,
                                            const ChatServiceOptions& service) const {
    if (options.open) return options.open(facts, service);
    return ChatService::open(facts.path, service);
  }

  // In the calling thread; others wait for it.
  Status load(Lock& lock, Body& body) {
    body.is_busy = true;
    body.load_error.reset();
    const Status room = make_room(lock, body);
    if (!room.ok()) {
      body.is_busy = false;
      body.load_error = room.error();
      note_change();
      return room;
    }
    ChatServiceOptions service = options.service;
    body.reserved_bytes = share_of(body);
    // The engine looks for itself what memory there is if it has it alone.
    if (bodies.size() > 1) service.engine.memory_bytes = body.reserved_bytes;
    if (!service.sessions.folder.empty()) {
      service.sessions.folder += "/" + sha256_hex(body.facts.path).substr(0, 16);
      service.sessions.fingerprint = body.facts.digest;
    }
    lock.unlock();
    const auto begin = Clock::now();
    auto opened = open(body.facts, service);
    const std::chrono::duration<double, std::milli> time = Clock::now() - begin;
    lock.lock();
    body.is_busy = false;
    note_change();
    if (!opened.ok()) {
      body.reserved_bytes = 0;
      body.load_error = load_failed(opened.error());
      return *body.load_error;
    }
    body.service = std::move(*opened);
    body.load_ms = time.count();
    body.last_use = Clock::now();
    learn_from_service(body);
    return {};
  }

  void learn_from_service(const Body& body) {
    for (const auto& entry : entries) {
      if (entry->body.get() != &body) continue;
      entry->facts.context = body.service->context();
      entry->facts.capabilities = body.service->capabilities();
    }
  }

  // True if this call loaded it.
  Result<bool> ensure_loaded(Lock& lock, Body& body, std::stop_token gone) {
    while (!body.service) {
      if (!is_ready && body.is_pinned && !body.load_error) {
        return unavailable("Loading model", "model_loading", 2.0);
      }
      if (!body.is_busy) {
        TRY(load(lock, body));
        return true;
      }
      if (!changed.wait(lock, gone, [&] { return !body.is_busy; })) {
        return Error{Code::Cancelled, "the client has gone"};
      }
      if (body.load_error) return *body.load_error;
    }
    return false;
  }

  // --- Idle models ---

  std::optional<Clock::time_point> expiry(const Body& body) const {
    if (!body.service || body.n_leases > 0) return std::nullopt;
    const KeepAlive keep = body.keep_alive.value_or(options.keep_alive);
    const bool stays = body.is_pinned && body.keep_alive != KeepAlive::zero();
    if (stays || keep < KeepAlive::zero()) return std::nullopt;
    return body.last_use + keep;
  }

  std::shared_ptr<Body> find_expired() const {
    for (const auto& body : bodies) {
      const auto time = expiry(*body);
      if (time && *time <= Clock::now()) return body;
    }
    return nullptr;
  }

  Clock::time_point next_expiry() const {
    auto next = Clock::now() + std::chrono::hours(1);
    for (const auto& body : bodies) {
      if (const auto time = expiry(*body)) next = std::min(next, *time);
    }
    return next;
  }

  void watch_idle(std::stop_token stop) {
    Lock lock(mutex);
    while (!stop.stop_requested()) {
      if (const auto body = find_expired()) {
        unload(lock, *body);
        continue;
      }
      const std::uint64_t seen = n_changes;
      changed.wait_until(lock, stop, next_expiry(), [&] { return n_changes != seen; });
    }
  }

  void end_lease(Body& body) {
    Lock lock(mutex);
    body.n_leases -= 1;
    body.last_use = Clock::now();
    const auto time = expiry(body);
    if (time && *time <= body.last_use) unload(lock, body);
    note_change();
  }
};

// --- Leases ---

struct ModelLease::Impl {
  Models::Impl* models = nullptr;
  std::shared_ptr<Entry> entry;
  double load_ms = 0.0;

  ~Impl() { models->end_lease(*entry->body); }
};

ModelLease::ModelLease(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ModelLease::ModelLease(ModelLease&&) noexcept = default;
ModelLease& ModelLease::operator=(ModelLease&&) noexcept = default;
ModelLease::~ModelLease() = default;

ChatService& ModelLease::service() const { return *impl_->entry->body->service; }
const ModelFacts& ModelLease::facts() const { return impl_->entry->facts; }
double ModelLease::load_ms() const { return impl_->load_ms; }

// --- Models ---

Models::Models(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Models::~Models() = default;

Result<std::unique_ptr<Models>> Models::find_all(ModelsOptions options,
                                                 std::vector<std::string>& notes) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  const std::uint64_t asked = impl->options.service.engine.memory_bytes;
  impl->budget_bytes = asked > 0 ? asked : read_memory_budget().size_bytes;
  TRY(impl->find_all(notes));
  Impl* self = impl.get();
  impl->idle_watch = std::jthread([self](std::stop_token stop) { self->watch_idle(stop); });
  return std::unique_ptr<Models>(new Models(std::move(impl)));
}

std::vector<ModelFacts> Models::list() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<ModelFacts> facts;
  for (const auto& entry : impl_->entries) facts.push_back(entry->facts);
  return facts;
}

std::optional<ModelFacts> Models::find(std::string_view name) const {
  const std::lock_guard lock(impl_->mutex);
  const auto entry = impl_->find(name);
  return entry ? std::optional(entry->facts) : std::nullopt;
}

Result<ModelLease> Models::acquire(std::string_view name, const AcquireOptions& options) {
  Impl::Lock lock(impl_->mutex);
  const auto entry = impl_->find(name);
  if (!entry) return unknown_model(name);
  Body& body = *entry->body;
  const bool loaded_now = TRY(impl_->ensure_loaded(lock, body, options.gone));
  body.keep_alive = options.keep_alive;
  body.n_leases += 1;
  auto lease = std::make_unique<ModelLease::Impl>();
  lease->models = impl_.get();
  lease->entry = entry;
  lease->load_ms = loaded_now ? body.load_ms : 0.0;
  return ModelLease(std::move(lease));
}

Status Models::unload(std::string_view name) {
  Impl::Lock lock(impl_->mutex);
  const auto entry = impl_->find(name);
  if (!entry) return unknown_model(name);
  Body& body = *entry->body;
  if (body.n_leases > 0) {
    body.keep_alive = KeepAlive::zero();
  } else if (body.service) {
    impl_->unload(lock, body);
  }
  return {};
}

std::vector<LoadedModel> Models::loaded() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<LoadedModel> loaded;
  for (const auto& entry : impl_->entries) {
    const Body& body = *entry->body;
    const bool is_told_already = entry->is_made() && !is_path(entry->from);
    if (is_told_already || !body.service) continue;
    LoadedModel model{.facts = entry->facts, .stats = body.service->stats()};
    if (const auto time = impl_->expiry(body)) {
      model.expires_s = unix_s(*time);
    } else if (!body.is_pinned && body.n_leases > 0) {
      const KeepAlive keep = body.keep_alive.value_or(impl_->options.keep_alive);
      if (keep >= KeepAlive::zero()) model.expires_s = unix_s(Clock::now() + keep);
    }
    model.resident_bytes = model.facts.size_bytes + model.stats.kv_bytes;
    loaded.push_back(std::move(model));
  }
  return loaded;
}

bool Models::is_ready() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->is_ready;
}

Status Models::load_first() {
  Impl::Lock lock(impl_->mutex);
  Status first;
  const auto bodies = impl_->bodies;
  for (const auto& body : bodies) {
    if (!body->is_pinned || body->service || body->is_busy) continue;
    const Status loaded = impl_->load(lock, *body);
    if (!loaded.ok() && first.ok()) first = loaded;
  }
  impl_->is_ready = true;
  impl_->note_change();
  return first;
}

Status Models::make(std::string_view name, std::string_view from, const ModelFacts& settings) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->make({.name = std::string(name),
                      .from = std::string(from),
                      .system = settings.system,
                      .parameters = settings.parameters,
                      .messages = settings.messages});
}

Status Models::copy(std::string_view from, std::string_view to) {
  const std::lock_guard lock(impl_->mutex);
  const auto entry = impl_->find(from);
  if (!entry) return unknown_model(from);
  return impl_->make({.name = std::string(to),
                      .from = entry->is_made() ? entry->from : entry->facts.id,
                      .system = entry->facts.system,
                      .parameters = entry->facts.parameters,
                      .messages = entry->facts.messages});
}

Status Models::remove(std::string_view name) {
  const std::lock_guard lock(impl_->mutex);
  const auto entry = impl_->find_exact(name);
  if (!entry) return unknown_model(name);
  if (!entry->is_made()) {
    return failed_precondition("model '{}' is a file of the model folders, which is not deleted",
                               name);
  }
  impl_->forget_made(*entry);
  return save_made_models(impl_->options.made_models_file, impl_->made);
}

}  // namespace fourfold
