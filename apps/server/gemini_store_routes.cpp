// Gemini's dialect: files and cached contents (http-apis.md 2.12, 2.13).
#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "api/identifiers.h"
#include "api/json_number.h"
#include "api/modalities.h"
#include "base/base64.h"
#include "base/letter_case.h"
#include "base/utf8.h"
#include "server/call.h"
#include "server/files.h"
#include "server/gemini_call.h"

namespace fourfold {
namespace {

constexpr std::size_t kDefaultPage = 10;
constexpr std::size_t kPieceBytes = 1 << 20;
constexpr std::string_view kChunkGranularity = "262144";

JsonValue text(std::string_view value) { return JsonValue::of(std::string(value)); }

JsonValue nothing() { return JsonValue::object(); }

// {NAME: […], "nextPageToken": "…"}
template <class Items, class ToJson>
Result<JsonValue> page_json(Call& call, std::string_view name, const Items& items, ToJson to_json) {
  const auto asked = TRY(page_request(call));
  const auto page = TRY(page_of(items.size(), asked, kDefaultPage));
  auto list = JsonValue::array();
  for (std::size_t i = page.begin; i < page.end; ++i) list.items.push_back(to_json(items[i]));
  auto body = JsonValue::object({{std::string(name), std::move(list)}});
  if (!page.next_token.empty()) body.set("nextPageToken", text(page.next_token));
  return body;
}

// ---- files ----

std::string bytes_of_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned value = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, value, 16);
    bytes += static_cast<char>(value);
  }
  return bytes;
}

JsonValue file_json(Call& call, const Files::File& file) {
  const std::string name = "files/" + file.id;
  auto json = JsonValue::object({{"name", text(name)}});
  if (!file.display_name.empty()) json.set("displayName", text(file.display_name));
  json.set("mimeType", text(file.mime));
  json.set("sizeBytes", text(std::to_string(file.size_bytes)));
  json.set("createTime", text(rfc3339(file.created_s)));
  json.set("updateTime", text(rfc3339(file.updated_s)));
  json.set("expirationTime", text(rfc3339(file.expires_s)));
  json.set("sha256Hash", text(to_base64(bytes_of_hex(file.sha256))));
  json.set("uri", text(fmt::format("{}/v1beta/{}", public_base(call), name)));
  json.set("downloadUri",
           text(fmt::format("{}/v1beta/{}:download?alt=media", public_base(call), name)));
  json.set("state", text("ACTIVE"));
  json.set("source", text("UPLOADED"));
  return json;
}

std::string_view header(Call& call, std::string_view name) {
  return call.request().head.header(name);
}

Result<std::optional<std::uint64_t>> number_header(Call& call, std::string_view name) {
  const std::string_view value = header(call, name);
  if (value.empty()) return std::optional<std::uint64_t>();
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size()) {
    return invalid_argument("{}: {} (expected a number)", name, printable(value))
        .with({.reason = "", .field = std::string(name)});
  }
  return std::optional(number);
}

// Of the body {"file": {…}}, completed by the headers.
Result<Files::Upload> read_upload(Call& call) {
  constexpr std::string_view kFiles = "files/";
  const auto body = TRY(call.json_body(/*may_be_empty=*/true));
  const Field file = Field(&body, "", Spelling::CamelOrSnake)["file"];
  Files::Upload upload;
  upload.id = TRY(file["name"].optional_string()).value_or("");
  if (upload.id.starts_with(kFiles)) upload.id.erase(0, kFiles.size());
  upload.display_name = TRY(file["displayName"].optional_string()).value_or("");
  if (upload.display_name.empty()) upload.display_name = header(call, "x-goog-upload-file-name");
  if (!is_utf8(upload.display_name)) upload.display_name.clear();  // headers may hold any bytes
  upload.mime = TRY(file["mimeType"].optional_string()).value_or("");
  if (upload.mime.empty()) upload.mime = header(call, "x-goog-upload-header-content-type");
  const auto declared = TRY(number_header(call, "x-goog-upload-header-content-length"));
  const auto stated = TRY(file["sizeBytes"].optional_integer(0, INT64_MAX));
  upload.size_bytes = declared;
  if (!declared && stated) upload.size_bytes = static_cast<std::uint64_t>(*stated);
  return upload;
}

// The whole file in one request, its description in headers.
Status upload_raw(Call& call) {
  Files& files = call.server().files;
  const auto session = TRY(
      files.begin_upload({.display_name = std::string(header(call, "x-goog-upload-file-name")),
                          .mime = std::string(header(call, "x-goog-upload-header-content-type"))}));
  const Request& request = call.request();
  const auto received = TRY(files.take_chunk(
      session, 0, {.path = request.body_file, .bytes = request.body}, /*is_last=*/true));
  call.reply(200, JsonValue::object({{"file", file_json(call, *received.file)}}),
             {{"x-goog-upload-status", "final"}});
  return {};
}

std::string upload_url(Call& call, std::string_view session) {
  return fmt::format("{}/upload/v1beta/files?upload_id={}&upload_protocol=resumable",
                     public_base(call), session);
}

Status begin_upload(Call& call) {
  const auto protocol = to_lower(header(call, "x-goog-upload-protocol"));
  if (protocol == "raw") return upload_raw(call);
  if (protocol != "resumable" && !protocol.empty()) {
    return invalid_argument("x-goog-upload-protocol: {} (expected resumable or raw)",
                            printable(protocol));
  }
  const auto command = to_lower(header(call, "x-goog-upload-command"));
  if (command.find("start") == command.npos) {
    return invalid_argument("x-goog-upload-command: {} (expected start)", printable(command));
  }
  auto upload = TRY(read_upload(call));
  const auto session = TRY(call.server().files.begin_upload(std::move(upload)));
  call.reply(200, nothing(),
             {{"x-goog-upload-url", upload_url(call, session)},
              {"x-goog-upload-status", "active"},
              {"x-goog-upload-chunk-granularity", std::string(kChunkGranularity)}});
  return {};
}

std::string session_of(Call& call) {
  const auto id = call.query("upload_id");
  return id.empty() ? call.parameter("session") : id;
}

void reply_received(Call& call, const Files::Received& received) {
  HeaderList headers = {{"x-goog-upload-status", received.file ? "final" : "active"},
                        {"x-goog-upload-size-received", std::to_string(received.n_bytes)}};
  if (!received.file) {
    headers.emplace_back("x-goog-upload-chunk-granularity", kChunkGranularity);
    return call.reply(200, nothing(), std::move(headers));
  }
  call.reply(200, JsonValue::object({{"file", file_json(call, *received.file)}}),
             std::move(headers));
}

// The client learns where to go on.
void reply_gap(Call& call, const Error& error, std::uint64_t n_bytes) {
  auto reply = error_reply(Dialect::Gemini, error, call.request_id());
  reply.headers.emplace_back("x-goog-upload-status", "active");
  reply.headers.emplace_back("x-goog-upload-size-received", std::to_string(n_bytes));
  call.reply(reply.status, "application/json; charset=UTF-8", std::move(reply.body),
             std::move(reply.headers));
}

Status continue_upload(Call& call) {
  Files& files = call.server().files;
  const std::string session = session_of(call);
  const auto command = to_lower(header(call, "x-goog-upload-command"));
  const auto has = [&](std::string_view word) { return command.find(word) != command.npos; };
  if (has("cancel")) {
    TRY(files.cancel_upload(session));
    call.reply(200, nothing(), {{"x-goog-upload-status", "cancelled"}});
    return {};
  }
  if (has("query")) {
    reply_received(call, TRY(files.received(session)));
    return {};
  }
  if (!has("upload") && !has("finalize")) {
    return invalid_argument(
        "x-goog-upload-command: {} (expected upload, finalize, query or cancel)",
        printable(command));
  }
  const auto before = TRY(files.received(session));
  const auto offset = TRY(number_header(call, "x-goog-upload-offset"));
  const Request& request = call.request();
  const Files::Chunk chunk = {.path = request.body_file, .bytes = request.body};
  auto received =
      files.take_chunk(session, offset.value_or(before.n_bytes), chunk, has("finalize"));
  if (!received && received.error().code == Code::OutOfRange) {
    reply_gap(call, received.error(), before.n_bytes);
    return {};
  }
  reply_received(call, TRY(std::move(received)));
  return {};
}

Status list_files(Call& call) {
  const auto files = call.server().files.list();
  call.reply(200, TRY(page_json(call, "files", files,
                                [&](const Files::File& file) { return file_json(call, file); })));
  return {};
}

Status get_file(Call& call) {
  call.reply(200, file_json(call, TRY(call.server().files.find(call.parameter("id")))));
  return {};
}

Status delete_file(Call& call) {
  TRY(call.server().files.remove(call.parameter("id")));
  call.reply(200, nothing());
  return {};
}

// As what it is not to be taken for: a page of ours.
Status download_file(Call& call) {
  const auto file = TRY(call.server().files.find(call.parameter("id")));
  const auto path = TRY(call.server().files.path_of(file.id));
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return internal_error("files/{} cannot be read", file.id);
  const bool is_plain = file.mime.find_first_of("\r\n") == std::string::npos;
  call.begin(is_plain ? std::string_view(file.mime) : "application/octet-stream",
             {{"Content-Disposition", "attachment"}, {"X-Content-Type-Options", "nosniff"}});
  std::string piece(kPieceBytes, '\0');
  for (;;) {
    const auto n = ::read(fd, piece.data(), piece.size());
    if (n <= 0 || !call.write({piece.data(), static_cast<std::size_t>(n)})) break;
  }
  ::close(fd);
  call.end();
  return {};
}

// ---- cached contents ----

constexpr std::int64_t kDefaultLifetime_s = 3600;
constexpr std::int64_t kLongestLifetime_s = 10 * 365 * 86'400ll;

JsonValue cache_json(const CachedContent& content) {
  auto json = JsonValue::object(
      {{"name", text("cachedContents/" + content.id)}, {"model", text("models/" + content.model)}});
  if (!content.display_name.empty()) json.set("displayName", text(content.display_name));
  json.set("createTime", text(rfc3339(content.created_s)));
  json.set("updateTime", text(rfc3339(content.updated_s)));
  json.set("expireTime", text(rfc3339(content.expires_s)));
  json.set("usageMetadata",
           JsonValue::object({{"totalTokenCount", json_number(content.n_tokens)}}));
  return json;
}

// "300s", "1.5s"
Result<std::int64_t> parse_ttl(const Field& field) {
  const auto given = TRY(field.string());
  double seconds = 0.0;
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), seconds);
  const bool is_whole = error == std::errc() && end + 1 == given.data() + given.size() &&
                        *end == 's' && seconds > 0.0 &&
                        seconds <= static_cast<double>(kLongestLifetime_s);
  if (is_whole) return static_cast<std::int64_t>(std::ceil(seconds));
  return field.error(fmt::format("{} (expected seconds such as 300s)", printable(given)));
}

// Of "ttl" or "expireTime", in Unix time; nullopt if neither is there.
Result<std::optional<std::int64_t>> read_expiry(const Field& body, std::int64_t now_s) {
  const Field ttl = body["ttl"], time = body["expireTime"];
  if (!ttl.absent() && !time.absent()) return time.error("stands beside ttl (expected one)");
  if (!ttl.absent()) return std::optional(now_s + TRY(parse_ttl(ttl)));
  if (time.absent()) return std::optional<std::int64_t>();
  const auto given = TRY(time.string());
  const auto seconds = parse_rfc3339(given);
  if (!seconds) return time.error(fmt::format("{} (expected RFC 3339)", printable(given)));
  if (*seconds <= now_s) return time.error(fmt::format("{} has passed", printable(given)));
  return std::optional(*seconds);
}

std::vector<PositionKey> keys_of(const PreparedChat& prepared) {
  return position_keys(prepared.prompt.ids, prepared.prompt.soft);
}

// What every request begins with that has this content in front: what two different questions
// share.
Result<PreparedChat> shared_prefix(const ChatService& service, const JsonValue& content,
                                   GeminiRequestOptions options, bool thinks) {
  options.cached = &content;
  std::vector<PreparedChat> prompts;
  for (const auto* question : {"?", "a"}) {
    const auto body = JsonValue::object({{"contents", text(question)}});
    auto request = TRY(parse_gemini_request(body, options));
    request.chat.conversation.thinking.on = thinks;
    prompts.push_back(TRY(service.prepare(request.chat)));
  }
  const auto keys = keys_of(prompts[0]);
  const auto common = whole_blocks(keys, n_equal(keys, keys_of(prompts[1])));
  Prompt& prompt = prompts[0].prompt;
  prompt.ids.resize(static_cast<std::size_t>(common));
  std::erase_if(prompt.soft, [&](const SoftSpan& span) { return span.first >= common; });
  return std::move(prompts[0]);
}

// So that the first request finds it computed.
Status compute(Call& call, ChatService& service, PreparedChat prefix) {
  RawRequest request;
  request.ids = std::move(prefix.prompt.ids);
  request.sampling.max_tokens = 1;
  auto prepared = TRY(service.prepare(request));
  prepared.prompt.soft = std::move(prefix.prompt.soft);
  prepared.media_sources = std::move(prefix.media_sources);
  const auto stream = TRY(service.start(std::move(prepared), {.user = call.user()}));
  const std::stop_callback on_gone(call.gone(), [&] { stream->cancel(); });
  TRY(stream->wait_started());
  while (stream->next()) continue;
  return stream->status();
}

// What of a body makes up its prompts.
JsonValue prompt_fields(const JsonValue& body) {
  auto fields = JsonValue::object();
  const Field field(&body, "", Spelling::CamelOrSnake);
  for (const auto name : {"systemInstruction", "tools", "toolConfig", "contents"}) {
    if (!field[name].absent()) fields.set(name, field[name].json());
  }
  return fields;
}

Status create_cache(Call& call) {
  Caches& caches = call.server().caches;
  const auto body = TRY(call.json_body());
  const Field field(&body, "", Spelling::CamelOrSnake);
  TRY(field.require_object());
  const auto model = TRY(field["model"].string());
  const auto expiry = TRY(read_expiry(field, caches.now_s()));
  CachedContent content;
  content.display_name = TRY(field["displayName"].optional_string()).value_or("");
  content.body = prompt_fields(body);
  const auto options = gemini_options(call, "");
  // For its errors, which name the body as it was sent.
  const auto request = TRY(parse_gemini_cache(body, options));
  for (const auto& warning : request.warnings) call.warn(warning);

  const auto lease = TRY(call.server().models.acquire(model, {.gone = call.gone()}));
  ChatService& service = lease.service();
  content.model = lease.facts().id;
  call.record.model = content.model;
  const bool thinks = request.chat.conversation.thinking.on;
  auto prefix = TRY(shared_prefix(service, content.body, options, thinks));
  content.prefixes.push_back(keys_of(prefix));
  content.n_tokens = static_cast<std::int64_t>(content.prefixes.front().size());
  content.media = count_media_tokens(service.tokenizer().control(), prefix.prompt.ids);
  if (service.capabilities().thinking) {
    content.prefixes.push_back(
        keys_of(TRY(shared_prefix(service, content.body, options, !thinks))));
  }
  const auto lifetime_s = expiry ? *expiry - caches.now_s() : kDefaultLifetime_s;
  content = caches.add(std::move(content), lifetime_s);
  caches.pin(content, service);
  if (const auto computed = compute(call, service, std::move(prefix)); !computed.ok()) {
    (void)caches.remove(content.id);
    return computed;
  }
  call.reply(200, cache_json(content));
  return {};
}

Status list_caches(Call& call) {
  const auto contents = call.server().caches.list();
  call.reply(200, TRY(page_json(call, "cachedContents", contents, cache_json)));
  return {};
}

Status get_cache(Call& call) {
  call.reply(200, cache_json(TRY(call.server().caches.find(call.parameter("id")))));
  return {};
}

Status update_cache(Call& call) {
  Caches& caches = call.server().caches;
  const auto body = TRY(call.json_body());
  const Field field(&body, "", Spelling::CamelOrSnake);
  TRY(field.require_object());
  const auto expiry = TRY(read_expiry(field, caches.now_s()));
  if (!expiry) return field.error("expected ttl or expireTime, nothing else can be changed");
  call.reply(200, cache_json(TRY(caches.set_expiry(call.parameter("id"), *expiry))));
  return {};
}

Status delete_cache(Call& call) {
  TRY(call.server().caches.remove(call.parameter("id")));
  call.reply(200, nothing());
  return {};
}

}  // namespace

void add_gemini_store_routes(Handlers& handlers) {
  handlers.add("gemini.files.upload", begin_upload);
  handlers.add("gemini.files.upload_session", continue_upload);
  handlers.add("gemini.files.list", list_files);
  handlers.add("gemini.files.get", get_file);
  handlers.add("gemini.files.delete", delete_file);
  handlers.add("gemini.files.download", download_file);
  handlers.add("gemini.caches.create", create_cache);
  handlers.add("gemini.caches.list", list_caches);
  handlers.add("gemini.caches.get", get_cache);
  handlers.add("gemini.caches.patch", update_cache);
  handlers.add("gemini.caches.delete", delete_cache);
}

}  // namespace fourfold
