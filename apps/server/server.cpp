#include "server/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <new>
#include <span>

#include "api/identifiers.h"
#include "api/sealed_text.h"
#include "base/new_file.h"
#include "server/access.h"
#include "server/broken_request.h"
#include "server/caches.h"
#include "server/call.h"
#include "server/files.h"
#include "server/head_rules.h"
#include "server/keys.h"
#include "server/metrics.h"
#include "server/page_routes.h"
#include "server/redaction.h"
#include "server/server_signals.h"
#include "server/stored_responses.h"
#include "server/systemd_notify.h"
#include "server/traces.h"

namespace fourfold {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// What programs read there: not a line of the log, whatever its form.
void say(const std::string& line) {
  (void)write_all(STDERR_FILENO, std::as_bytes(std::span(line)));
}

Handlers all_handlers() {
  Handlers handlers;
  add_gemini_routes(handlers);
  add_gemini_store_routes(handlers);
  add_interaction_routes(handlers);
  add_openai_routes(handlers);
  add_responses_routes(handlers);
  add_ollama_routes(handlers);
  add_anthropic_routes(handlers);
  add_operation_routes(handlers);
  add_page_routes(handlers);
  return handlers;
}

// Probes that come every few seconds.
bool is_routine(std::string_view route) {
  constexpr std::string_view kRoutine[] = {"ops.health", "ops.live", "ops.ready", "ops.metrics",
                                           "page"};
  return std::ranges::find(kRoutine, route) != std::end(kRoutine);
}

// Answers requests: from the head that has come to the line in the log.
class Requests {
 public:
  Requests(ServerState& server, Handlers handlers)
      : server_(server), handlers_(std::move(handlers)) {}

  // On the I/O thread.
  HeadVerdict judge(const RequestHead& head) const {
    remember_keys(head);
    const auto start = Clock::now();
    const std::string request_id = request_id_of(head);
    auto decision = decide_head(head, server_, request_id);
    if (const auto* admission = std::get_if<Admission>(&decision)) {
      const Refused refused{request_id, head.remote_address, head.method,
                            admission->match.route->dialect};
      return noted(plan_body(head, *admission, server_, request_id), refused);
    }
    auto& refusal = std::get<Refusal>(decision);
    note_refusal(head, refusal, request_id, ms_since(start));
    return std::move(refusal.reply);
  }

  // What never becomes a request, or fails on the way. On the I/O thread.
  Reply answer_broken(int status, std::string_view target, std::string_view what) const {
    const std::string request_id = random_id("req_");
    const Dialect dialect = dialect_of(target, server_.settings);
    Reply reply = broken_request_reply(status, what, dialect, request_id);
    note_refusal({request_id, "-", "-", dialect}, reply.status, std::string(what), 0.0);
    return reply;
  }

  // On a thread of its own.
  void handle(Exchange& exchange) const {
    const RequestHead& head = exchange.request().head;
    const auto start = Clock::now();
    const std::string request_id = request_id_of(head);
    auto decision = decide_head(head, server_, request_id);
    if (auto* refusal = std::get_if<Refusal>(&decision)) {  // its key was taken away meanwhile
      note_refusal(head, *refusal, request_id, ms_since(start));
      return exchange.reply(std::move(refusal->reply));
    }
    const auto& admission = std::get<Admission>(decision);
    Call call(exchange, admission.match, admission.key.get(), server_, request_id);
    answer_within_limits(call);
    note_end(call, ms_since(start));
  }

 private:
  // The key's limits hold around the handler.
  void answer_within_limits(Call& call) const {
    if (!call.key()) return answer(call);
    const Status admitted = server_.keys.admit(*call.key());
    if (!admitted.ok()) return call.fail(admitted.error());
    answer(call);
    const CallRecord& record = call.record;
    server_.keys.count_tokens(*call.key(), record.prompt_tokens + record.completion_tokens);
    server_.keys.leave(*call.key());
  }

  void answer(Call& call) const {
    const Status status = run_handler(call);
    const bool is_gone = call.gone().stop_requested();
    if (!status.ok()) {
      const bool is_cancelled = status.error().code == Code::Cancelled;
      if (!call.record.model.empty()) call.record.finish = is_cancelled ? "abort" : "error";
      call.fail(status.error());
    } else if (!call.has_begun() && is_gone) {
      call.record.status = 499;  // as nginx calls it: there was nobody to answer
    } else if (!call.has_begun()) {
      call.fail(internal_error("{}: no answer was made", call.match().route->name));
    }
  }

  Status run_handler(Call& call) const {
    const auto* handler = handlers_.find(call.match().route->name);
    if (!handler) {
      return unimplemented("{} is not offered by this server", call.match().route->name)
          .with({.reason = "not_offered"});
    }
    try {
      return (*handler)(call);
    } catch (const std::bad_alloc&) {
      return resource_exhausted("the memory is exhausted");
    }
  }

  // Whatever was given as a key appears in no log from here on.
  void remember_keys(const RequestHead& head) const {
    const auto found = find_route(head.method, head.target, server_.settings.path_prefix);
    const auto* match = std::get_if<RouteMatch>(&found);
    for (const auto& key : presented_keys(head, match ? *match : RouteMatch())) {
      server_.redactor.remember(key);
    }
  }

  void note_end(const Call& call, double total_ms) const {
    const RouteInfo& route = *call.match().route;
    const RequestHead& head = call.request().head;
    server_.metrics.add(call.record, route.dialect, total_ms / 1e3);
    server_.log.request({.request_id = call.request_id(),
                         .key_name = call.key() ? call.key()->name : "",
                         .address = head.remote_address,
                         .dialect = route.dialect,
                         .method = head.method,
                         .route = std::string(route.name),
                         .total_ms = total_ms,
                         .warnings = call.warnings(),
                         .is_routine = is_routine(route.name) && call.record.status < 400},
                        call.record);
  }

  // What is known of a request that no handler sees.
  struct Refused {
    std::string request_id, address, method;
    Dialect dialect = Dialect::OpenAI;
  };

  // A body that is refused while it arrives is told of like a head.
  BodyPlan noted(BodyPlan plan, const Refused& refused) const {
    if (auto too_large = std::move(plan.too_large)) {
      plan.too_large = [this, refused, too_large](std::uint64_t most_bytes) {
        Reply reply = too_large(most_bytes);
        note_refusal(refused, reply.status, fmt::format("more than {} bytes", most_bytes), 0.0);
        return reply;
      };
    }
    if (auto malformed = std::move(plan.malformed)) {
      plan.malformed = [this, refused, malformed](std::string_view what) {
        Reply reply = malformed(what);
        note_refusal(refused, reply.status, std::string(what), 0.0);
        return reply;
      };
    }
    return plan;
  }

  void note_refusal(const RequestHead& head, const Refusal& refusal, const std::string& request_id,
                    double total_ms) const {
    note_refusal({request_id, head.remote_address, head.method, refusal.dialect},
                 refusal.reply.status, refusal.error, total_ms);
  }

  void note_refusal(const Refused& refused, int status, const std::string& error,
                    double total_ms) const {
    CallRecord record;
    record.status = status;
    record.error = error;
    server_.metrics.add(record, refused.dialect, total_ms / 1e3);
    server_.log.request({.request_id = refused.request_id,
                         .key_name = "",
                         .address = refused.address,
                         .dialect = refused.dialect,
                         .method = refused.method,
                         .route = "refused",
                         .total_ms = total_ms,
                         .warnings = {},
                         .is_routine = error.empty()},
                        record);
  }

  ServerState& server_;
  const Handlers handlers_;
};

Result<std::unique_ptr<Keys>> open_keys(const ServeOptions& options,
                                        std::vector<std::string>& notes) {
  auto keys = std::make_unique<Keys>();
  if (!options.api_key_file.empty()) keys = TRY(Keys::load(options.api_key_file, notes));
  if (const auto key = take_key_from_environment()) TRY(keys->add("environment", *key));
  const ServerSettings& settings = options.settings;
  if (keys->is_empty() && !options.no_auth && !is_loopback_host(settings.host)) {
    return failed_precondition(
        "--host {}: others can reach it, and there are no keys (--api-key-file F, "
        "FOURFOLD_API_KEY, or --no-auth)",
        settings.host);
  }
  return keys;
}

std::string url_of(const HttpServer::Address& address) {
  const bool is_v6 = address.host.find(':') != std::string::npos;
  const std::string host = is_v6 ? "[" + address.host + "]" : address.host;
  return fmt::format("http://{}:{}", host, address.port);
}

std::string in_folder(const std::string& folder, std::string_view name) {
  return folder.empty() ? "" : fmt::format("{}/{}", folder, name);
}

// Where bodies of uploads go: beside the stored files, to which they are moved.
std::string temporary_folder(const ServerSettings& settings) {
  std::error_code error;
  const std::string folder = in_folder(settings.data_folder, "uploads");
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  return folder.empty() || error ? std::filesystem::temp_directory_path(error).string() : folder;
}

// The models of the command line, while the server listens already. False: they cannot be used.
bool load_models(Models& models, HttpServer& http, ServerLog& log, Status& outcome) {
  outcome = models.load_first();
  if (!outcome.ok()) {
    http.drain(std::chrono::milliseconds(0));
    return false;
  }
  if (http.is_draining()) return false;
  say("ready\n");
  notify_systemd("READY=1");
  log.debug("ready");
  return true;
}

void reload(Keys& keys, Redactor& redactor, ServerLog& log) {
  const Status keys_read = keys.reload();
  redactor.set_keys(keys.digests());
  const Status audit = log.reopen_audit();
  for (const Status* status : {&keys_read, &audit}) {
    if (!status->ok()) log.error(status->error().message);
  }
  if (keys_read.ok()) log.info("the keys were read again");
}

}  // namespace

Status serve(ServeOptions options) {
  std::signal(SIGPIPE, SIG_IGN);
  ServerSignals::block();
  const ServerSettings& settings = options.settings;

  Redactor redactor;
  options.log.redact = [&](std::string_view line) { return redactor.redact(line); };
  const auto log = TRY(ServerLog::open(options.log));
  const auto keys = TRY(open_keys(options, options.notes));
  redactor.set_keys(keys->digests());
  PrefixStoreOptions& sessions = options.models.service.sessions;
  sessions.folder = in_folder(settings.data_folder, "sessions");
  sessions.warn = [&](const std::string& message) { log->warn(message); };
  const auto models = TRY(Models::find_all(options.models, options.notes));
  const Sealer sealer = TRY(Sealer::open(in_folder(settings.data_folder, "seal.key")));
  const auto files = TRY(Files::open(settings));
  Caches caches(*models);
  StoredResponses responses(settings);
  Metrics metrics;
  Traces traces(in_folder(settings.data_folder, "traces"), settings.traces);

  std::unique_ptr<Requests> requests;
  options.http.temporary_folder = temporary_folder(settings);
  options.http.broken_request = [&](int status, std::string_view target, std::string_view what) {
    return requests->answer_broken(status, target, what);
  };
  HttpServer http(
      options.http, [&](const RequestHead& head) { return requests->judge(head); },
      [&](Exchange& exchange) { requests->handle(exchange); });
  ServerState state{.settings = settings,
                    .models = *models,
                    .keys = *keys,
                    .files = *files,
                    .caches = caches,
                    .responses = responses,
                    .metrics = metrics,
                    .log = *log,
                    .redactor = redactor,
                    .sealer = sealer,
                    .http = http,
                    .traces = &traces};
  requests = std::make_unique<Requests>(state, all_handlers());

  const auto address = TRY(http.listen(settings.host, settings.port));
  say(fmt::format("listening on {}\n", url_of(address)));
  for (const auto& note : options.notes) log->warn(note);

  const ServerSignals signals({
      .end =
          [&] {
            notify_systemd("STOPPING=1");
            http.drain(options.grace);
          },
      .end_now = [&] { http.drain(std::chrono::milliseconds(0)); },
      .reload = [&] { reload(*keys, redactor, *log); },
  });
  Status loaded;
  std::jthread loader([&] { load_models(*models, http, *log, loaded); });
  http.run();
  // A load cannot be stopped; nothing of it is worth waiting for.
  if (!models->is_ready()) ::_exit(0);
  loader.join();
  return loaded;
}

}  // namespace fourfold
