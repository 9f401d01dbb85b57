#include "server/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <span>

#include "api/field.h"
#include "api/identifiers.h"
#include "api/json_number.h"
#include "api/media.h"
#include "base/mapped_file.h"
#include "base/new_file.h"
#include "base/sha256.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPieceBytes = 1 << 20;
constexpr std::size_t kMostIdCharacters = 40;

std::int64_t system_now_s() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

Error file_not_found(std::string_view id) {
  return not_found("files/{} was not found, or has expired", id);
}
Error session_not_found() { return not_found("this upload session is unknown or has expired"); }

Error io_error(std::string_view path) {
  return {Code::Internal, fmt::format("{}: {}", path, std::strerror(errno))};
}

bool is_chosen_id(std::string_view id) {
  const auto is_fit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !id.empty() && id.size() <= kMostIdCharacters && id.front() != '-' && id.back() != '-' &&
         std::ranges::all_of(id, is_fit);
}

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_;
};

// Every piece of a file from `offset` on.
Status read_pieces(const std::string& path, std::uint64_t offset,
                   const std::function<Status(std::span<const std::byte>)>& take) {
  const Descriptor in(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in.is_open()) return io_error(path);
  std::vector<std::byte> piece(kPieceBytes);
  for (auto at = static_cast<off_t>(offset);;) {
    const auto n = ::pread(in.get(), piece.data(), piece.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error(path);
    if (n == 0) return {};
    TRY(take(std::span(piece.data(), static_cast<std::size_t>(n))));
    at += n;
  }
}

Result<std::string> sha256_of_file(const std::string& path) {
  Sha256 sha;
  TRY(read_pieces(path, 0, [&](std::span<const std::byte> piece) -> Status {
    sha.update(piece);
    return {};
  }));
  std::string hex;
  for (const auto byte : sha.finish()) hex += fmt::format("{:02x}", byte);
  return hex;
}

// A label that says nothing is replaced by what the bytes are.
std::string mime_of(const std::string& said, const std::string& path) {
  if (!said.empty() && said != "application/octet-stream") return said;
  std::string head(4096, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(in.gcount()));
  if (const auto type = find_media_type(head)) return std::string(type->mime);
  // A character may be cut at the end.
  while (!head.empty() && head.size() == 4096 && (static_cast<unsigned char>(head.back()) & 0x80)) {
    head.pop_back();
  }
  const bool is_text = is_utf8(head) && head.find('\0') == head.npos;
  return is_text ? "text/plain" : "application/octet-stream";
}

// ---- the index ----

JsonValue index_entry(const Files::File& file) {
  return JsonValue::object({{"id", JsonValue::of(file.id)},
                            {"displayName", JsonValue::of(file.display_name)},
                            {"mimeType", JsonValue::of(file.mime)},
                            {"sizeBytes", json_number(file.size_bytes)},
                            {"sha256", JsonValue::of(file.sha256)},
                            {"created", json_number(file.created_s)},
                            {"updated", json_number(file.updated_s)},
                            {"expires", json_number(file.expires_s)}});
}

Result<Files::File> read_index_entry(const Field& entry) {
  Files::File file;
  file.id = TRY(entry["id"].string());
  file.display_name = TRY(entry["displayName"].string());
  file.mime = TRY(entry["mimeType"].string());
  file.size_bytes = static_cast<std::uint64_t>(TRY(entry["sizeBytes"].integer(0, INT64_MAX)));
  file.sha256 = TRY(entry["sha256"].string());
  file.created_s = TRY(entry["created"].integer(0, INT64_MAX));
  file.updated_s = TRY(entry["updated"].integer(0, INT64_MAX));
  file.expires_s = TRY(entry["expires"].integer(0, INT64_MAX));
  const bool is_digest = file.sha256.size() == 64 &&
                         file.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_digest || !is_chosen_id(file.id)) return entry.error("no entry of ours");
  return file;
}

}  // namespace

struct Files::Impl {
  struct Session {
    std::mutex mutex;  // one chunk at a time
    Upload upload;
    std::string path;
    std::int64_t begun_s = 0;
    std::uint64_t n_received = 0;
    std::optional<File> file;  // the end of it
  };

  explicit Impl(FilesOptions given) : options(std::move(given)) {}
  ~Impl() {
    std::error_code ignored;
    if (is_temporary) fs::remove_all(options.folder, ignored);
  }

  std::string blob_path(std::string_view sha256) const {
    return fmt::format("{}/blobs/{}", options.folder, sha256);
  }
  std::string index_path() const { return options.folder + "/index.json"; }
  std::int64_t now_s() const { return options.now_s ? options.now_s() : system_now_s(); }

  Status make_folders();
  Status read_index();
  void remove_strangers();
  // The caller holds `mutex` for all that follows.
  Status write_index();
  void forget_expired();
  void remove_blob_if_unused(const std::string& sha256);
  std::uint64_t stored_bytes() const;
  Result<std::shared_ptr<Session>> session_of(std::string_view name);
  // Takes over the session's file.
  Result<File> store(Session& session, std::string sha256);

  // The caller holds the session's mutex.
  Status append(Session& session, std::uint64_t offset, const Chunk& chunk);
  Result<File> finish(Session& session);

  FilesOptions options;
  bool is_temporary = false;
  std::mutex mutex;
  std::map<std::string, File, std::less<>> files;
  std::map<std::string, std::shared_ptr<Session>, std::less<>> sessions;
};

// ---- the folder ----

Status Files::Impl::make_folders() {
  if (options.folder.empty()) {
    std::string path = (fs::temp_directory_path() / "fourfold-files-XXXXXX").string();
    if (!::mkdtemp(path.data())) return io_error(path);
    options.folder = path;
    is_temporary = true;
  }
  for (const auto* name : {"blobs", "uploads"}) {
    std::error_code failed;
    fs::create_directories(fs::path(options.folder) / name, failed);
    if (failed) return Error{Code::Unknown, options.folder + ": " + failed.message()};
  }
  std::error_code ignored;
  fs::permissions(options.folder, fs::perms::owner_all, ignored);
  return {};
}

// What cannot be read is left out: the rest is of use all the same.
Status Files::Impl::read_index() {
  std::ifstream in(index_path(), std::ios::binary);
  if (!in) return {};
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto json = parse_json_value(text);
  if (!json || !json->is_array()) return {};
  const Field index(&*json, "index");
  const auto entries = TRY(index.list());
  for (const auto& entry : entries) {
    auto file = read_index_entry(entry);
    std::error_code failed;
    if (!file) continue;
    if (fs::file_size(blob_path(file->sha256), failed) != file->size_bytes || failed) continue;
    files.emplace(file->id, std::move(file).value());
  }
  return {};
}

// Of uploads that a crash or restart ended, and of contents that no file has.
void Files::Impl::remove_strangers() {
  std::set<std::string> known;
  for (const auto& [id, file] : files) known.insert(file.sha256);
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(options.folder + "/blobs", ignored)) {
    if (!known.contains(entry.path().filename().string())) fs::remove(entry.path(), ignored);
  }
  for (const auto& entry : fs::directory_iterator(options.folder + "/uploads", ignored)) {
    fs::remove(entry.path(), ignored);
  }
}

Status Files::Impl::write_index() {
  auto list = JsonValue::array();
  for (const auto& [id, file] : files) list.items.push_back(index_entry(file));
  const std::string text = to_json_text(list);
  auto file = TRY(NewFile::create(index_path()));
  TRY(file.write(std::as_bytes(std::span(text))));
  return file.commit();
}

// ---- what is stored ----

std::uint64_t Files::Impl::stored_bytes() const {
  std::map<std::string_view, std::uint64_t> contents;
  for (const auto& [id, file] : files) contents[file.sha256] = file.size_bytes;
  std::uint64_t sum = 0;
  for (const auto& [sha256, n_bytes] : contents) sum += n_bytes;
  for (const auto& [name, session] : sessions) sum += session->file ? 0 : session->n_received;
  return sum;
}

void Files::Impl::remove_blob_if_unused(const std::string& sha256) {
  const bool is_used =
      std::ranges::any_of(files, [&](const auto& entry) { return entry.second.sha256 == sha256; });
  std::error_code ignored;
  if (!is_used) fs::remove(blob_path(sha256), ignored);
}

void Files::Impl::forget_expired() {
  const auto now = now_s();
  std::vector<std::string> contents;
  std::erase_if(files, [&](const auto& entry) {
    const bool is_over = entry.second.expires_s <= now;
    if (is_over) contents.push_back(entry.second.sha256);
    return is_over;
  });
  for (const auto& sha256 : contents) remove_blob_if_unused(sha256);
  // The next change of the index writes it; until then a restart forgets them again.
  std::erase_if(sessions, [&](const auto& entry) {
    const bool is_over = entry.second->begun_s + options.session_lifetime_s <= now;
    std::error_code ignored;
    if (is_over) fs::remove(entry.second->path, ignored);
    return is_over;
  });
}

Result<std::shared_ptr<Files::Impl::Session>> Files::Impl::session_of(std::string_view name) {
  const std::lock_guard lock(mutex);
  forget_expired();
  const auto found = sessions.find(name);
  if (found == sessions.end()) return session_not_found();
  return found->second;
}

Result<Files::File> Files::Impl::store(Session& session, std::string sha256) {
  const std::lock_guard lock(mutex);
  const auto now = now_s();
  File file{.id = session.upload.id,
            .display_name = session.upload.display_name,
            .mime = mime_of(session.upload.mime, session.path),
            .size_bytes = session.n_received,
            .sha256 = std::move(sha256),
            .created_s = now,
            .updated_s = now,
            .expires_s = now + options.lifetime_s};
  while (file.id.empty() || (session.upload.id.empty() && files.contains(file.id))) {
    file.id = random_lower_id("");
  }
  if (files.contains(file.id)) {
    return Error{Code::AlreadyExists, fmt::format("files/{} exists already", file.id)};
  }
  std::error_code failed;
  fs::rename(session.path, blob_path(file.sha256), failed);
  if (failed) return Error{Code::Internal, session.path + ": " + failed.message()};
  files.emplace(file.id, file);
  TRY(write_index());
  return file;
}

// ---- an upload ----

Status Files::Impl::append(Session& session, std::uint64_t offset, const Chunk& chunk) {
  if (offset > session.n_received) {
    return Error{Code::OutOfRange,
                 fmt::format("offset {}: {} bytes have come so far", offset, session.n_received)};
  }
  const std::uint64_t n_known = session.n_received - offset;  // of the chunk, from before
  const Descriptor out(::open(session.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!out.is_open()) return io_error(session.path);
  if (::lseek(out.get(), static_cast<off_t>(session.n_received), SEEK_SET) < 0) {
    return io_error(session.path);
  }
  std::uint64_t n_received = session.n_received;
  const auto take = [&](std::span<const std::byte> piece) -> Status {
    if (n_received + piece.size() > options.most_file_bytes) {
      return invalid_argument("larger than {} bytes", options.most_file_bytes)
          .with({.reason = "body_too_large"});
    }
    TRY_IN(session.path, write_all(out.get(), piece));
    n_received += piece.size();
    return {};
  };
  if (chunk.path.empty()) {
    const auto rest = chunk.bytes.substr(std::min<std::size_t>(n_known, chunk.bytes.size()));
    TRY(take(std::as_bytes(std::span(rest.data(), rest.size()))));
  } else {
    TRY(read_pieces(chunk.path, n_known, take));
  }
  // Written last: what failed in the middle is written again.
  const std::lock_guard lock(mutex);
  if (stored_bytes() + n_received - session.n_received > options.most_stored_bytes) {
    return resource_exhausted("the store of files is full ({} bytes)", options.most_stored_bytes);
  }
  session.n_received = n_received;
  return {};
}

Result<Files::File> Files::Impl::finish(Session& session) {
  const auto expected = session.upload.size_bytes;
  if (expected && *expected != session.n_received) {
    return invalid_argument("{} bytes have come (expected {})", session.n_received, *expected);
  }
  auto sha256 = TRY(sha256_of_file(session.path));
  return store(session, std::move(sha256));
}

Files::Files(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Files::~Files() = default;

Result<std::unique_ptr<Files>> Files::open(const ServerSettings& settings) {
  FilesOptions options;
  if (!settings.data_folder.empty()) options.folder = settings.data_folder + "/files";
  options.most_file_bytes = settings.most_upload_bytes;
  options.most_stored_bytes = settings.most_stored_bytes;
  return open(std::move(options));
}

Result<std::unique_ptr<Files>> Files::open(FilesOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  TRY(impl->make_folders());
  TRY(impl->read_index());
  impl->forget_expired();
  impl->remove_strangers();
  return std::unique_ptr<Files>(new Files(std::move(impl)));
}

Result<std::string> Files::begin_upload(Upload upload) {
  const std::lock_guard lock(impl_->mutex);
  impl_->forget_expired();
  if (!upload.id.empty() && !is_chosen_id(upload.id)) {
    return invalid_argument(
               "file.name: {} (expected up to {} of a-z, 0-9 and -, no dash at either end)",
               printable(upload.id), kMostIdCharacters)
        .with({.reason = "", .field = "file.name"});
  }
  if (impl_->files.contains(upload.id)) {
    return Error{Code::AlreadyExists, fmt::format("files/{} exists already", upload.id)};
  }
  const auto n_bytes = upload.size_bytes.value_or(0);
  const FilesOptions& options = impl_->options;
  if (n_bytes > options.most_file_bytes) {
    return invalid_argument("{} bytes are too many (at most {})", n_bytes, options.most_file_bytes)
        .with({.reason = "body_too_large"});
  }
  if (impl_->stored_bytes() + n_bytes > options.most_stored_bytes) {
    return resource_exhausted("the store of files is full ({} bytes)", options.most_stored_bytes);
  }
  auto session = std::make_shared<Impl::Session>();
  std::string name = random_id("", 43);
  session->upload = std::move(upload);
  session->path = fmt::format("{}/uploads/{}", options.folder, name);
  session->begun_s = impl_->now_s();
  impl_->sessions.emplace(name, std::move(session));
  return name;
}

Result<Files::Received> Files::take_chunk(std::string_view name, std::uint64_t offset,
                                          const Chunk& chunk, bool is_last) {
  const auto session = TRY(impl_->session_of(name));
  const std::lock_guard lock(session->mutex);
  // The last chunk once more: its answer was lost.
  if (session->file) return Received{.n_bytes = session->n_received, .file = session->file};
  TRY(impl_->append(*session, offset, chunk));
  if (is_last) {
    auto file = TRY(impl_->finish(*session));
    const std::lock_guard files_lock(impl_->mutex);
    session->file = std::move(file);
  }
  return Received{.n_bytes = session->n_received, .file = session->file};
}

Result<Files::Received> Files::received(std::string_view name) {
  const auto session = TRY(impl_->session_of(name));
  const std::lock_guard lock(session->mutex);
  return Received{.n_bytes = session->n_received, .file = session->file};
}

Status Files::cancel_upload(std::string_view name) {
  const auto session = TRY(impl_->session_of(name));
  const std::lock_guard session_lock(session->mutex);
  const std::lock_guard lock(impl_->mutex);
  std::error_code ignored;
  fs::remove(session->path, ignored);
  impl_->sessions.erase(std::string(name));
  return {};
}

// ---- files ----

std::vector<Files::File> Files::list() {
  const std::lock_guard lock(impl_->mutex);
  impl_->forget_expired();
  std::vector<File> files;
  for (const auto& [id, file] : impl_->files) files.push_back(file);
  std::ranges::stable_sort(files, std::greater(), &File::created_s);
  return files;
}

Result<Files::File> Files::find(std::string_view id) {
  const std::lock_guard lock(impl_->mutex);
  impl_->forget_expired();
  const auto found = impl_->files.find(id);
  if (found == impl_->files.end()) return file_not_found(id);
  return found->second;
}

Result<std::string> Files::path_of(std::string_view id) {
  const auto file = TRY(find(id));
  return impl_->blob_path(file.sha256);
}

Result<StoredFile> Files::load(std::string_view id) {
  const auto file = TRY(find(id));
  auto bytes = TRY(MappedFile::open(impl_->blob_path(file.sha256)));
  return StoredFile{.mime = file.mime, .bytes = std::move(bytes)};
}

Status Files::remove(std::string_view id) {
  const std::lock_guard lock(impl_->mutex);
  impl_->forget_expired();
  const auto found = impl_->files.find(id);
  if (found == impl_->files.end()) return file_not_found(id);
  const std::string sha256 = found->second.sha256;
  impl_->files.erase(found);
  impl_->remove_blob_if_unused(sha256);
  return impl_->write_index();
}

}  // namespace fourfold
