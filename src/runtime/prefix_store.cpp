#include "runtime/prefix_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <new>
#include <system_error>
#include <utility>

#include "base/checksum.h"
#include "base/mapped_file.h"
#include "base/new_file.h"
#include "base/sha256.h"

namespace fourfold {
namespace {

namespace fs = std::filesystem;

// The bytes: docs/formats/stored-prefix.md.
constexpr char kMagic[8] = {'f', 'f', 'p', 'r', 'e', 'f', '0', '2'};
constexpr std::string_view kSuffix = ".prefix";
constexpr std::size_t kPieceBytes = 1u << 20;
constexpr std::uint64_t kMostHeaderBytes = 64u << 20;

std::string name_of(KvType type) { return std::string(name(type)); }

// Everything that must be equal for a file to be of use: format and build, model, shape of the
// cache.
std::string identity(const std::string& fingerprint, const KvPlan& plan) {
  std::string text =
      fmt::format("build {} model {} window {} layers", FOURFOLD_VERSION, fingerprint, plan.window);
  for (const KvLayerPlan& layer : plan.layers) {
    if (!layer.owns) {
      text += " -";
      continue;
    }
    text += fmt::format(" {}{}x{}x{}/{}", layer.ring ? "ring " : "", name_of(layer.layout.type),
                        layer.layout.n_heads, layer.layout.channels, layer.layout.n_folded_pairs);
  }
  return text;
}

template <class T>
void append(std::vector<std::byte>& bytes, std::span<const T> values) {
  const auto raw = std::as_bytes(values);
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}
template <class T>
void append(std::vector<std::byte>& bytes, T value) {
  append(bytes, std::span<const T>(&value, 1));
}

// Reads what append wrote; false when there is not enough left.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <class T>
  bool take(T& value) {
    return take(std::span<T>(&value, 1));
  }
  template <class T>
  bool take(std::span<T> values) {
    if (rest_.size() < values.size_bytes()) return false;
    if (!values.empty()) std::memcpy(values.data(), rest_.data(), values.size_bytes());
    rest_ = rest_.subspan(values.size_bytes());
    return true;
  }
  std::span<const std::byte> rest() const { return rest_; }

 private:
  std::span<const std::byte> rest_;
};

struct Header {
  std::string identity;
  KvCache::Extent extent;
  std::uint64_t page_bytes = 0;
  std::vector<PositionKey> keys;
};

std::vector<std::byte> to_bytes(const Header& header) {
  std::vector<std::byte> bytes;
  append(bytes, std::uint64_t{header.identity.size()});
  append(bytes, std::span<const char>(header.identity));
  for (const std::int64_t number : {header.extent.length, header.extent.written,
                                    header.extent.ring_blocks, header.extent.ring_start}) {
    append(bytes, number);
  }
  append(bytes, header.page_bytes);
  append(bytes, std::span<const PositionKey>(header.keys));
  return bytes;
}

Result<Header> parse_header(std::span<const std::byte> bytes) {
  Header header;
  Cursor cursor(bytes);
  std::uint64_t n = 0;
  if (!cursor.take(n) || n > bytes.size()) return data_loss("a header of {} bytes", bytes.size());
  header.identity.resize(n);
  KvCache::Extent& extent = header.extent;
  if (!cursor.take(std::span(header.identity)) || !cursor.take(extent.length) ||
      !cursor.take(extent.written) || !cursor.take(extent.ring_blocks) ||
      !cursor.take(extent.ring_start) || !cursor.take(header.page_bytes)) {
    return data_loss("a header of {} bytes", bytes.size());
  }
  const std::uint64_t n_keys = cursor.rest().size() / sizeof(PositionKey);
  if (n_keys * sizeof(PositionKey) != cursor.rest().size() ||
      static_cast<std::int64_t>(n_keys) != extent.length) {
    return data_loss("{} bytes of positions, expected {} of them", cursor.rest().size(),
                     extent.length);
  }
  header.keys.resize(n_keys);
  cursor.take(std::span(header.keys));
  return header;
}

std::uint64_t bytes_with_checksums(std::uint64_t n) {
  return n + (n + kPieceBytes - 1) / kPieceBytes * sizeof(std::uint64_t);
}

// Collects pages to pieces, and writes each with its checksum.
class PieceWriter {
 public:
  explicit PieceWriter(NewFile& file) : file_(file) { piece_.reserve(kPieceBytes); }

  Status write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::size_t n = std::min(bytes.size(), kPieceBytes - piece_.size());
      piece_.insert(piece_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
      bytes = bytes.subspan(n);
      if (piece_.size() == kPieceBytes) TRY(flush());
    }
    return {};
  }
  Status flush() {
    if (piece_.empty()) return {};
    const std::uint64_t sum = checksum64(piece_);
    TRY(file_.write(piece_));
    TRY(file_.write(std::as_bytes(std::span(&sum, 1))));
    piece_.clear();
    return {};
  }

 private:
  NewFile& file_;
  std::vector<std::byte> piece_;
};

// The other way round: nothing leaves it whose checksum is wrong.
class PieceReader {
 public:
  PieceReader(const MappedFile& file, std::uint64_t offset, std::uint64_t n_bytes)
      : file_(file), offset_(offset), n_left_(n_bytes) {}

  Status read(std::span<std::byte> out) {
    while (!out.empty()) {
      if (used_ == piece_.size()) TRY(next_piece());
      const std::size_t n = std::min(out.size(), piece_.size() - used_);
      std::memcpy(out.data(), piece_.data() + used_, n);
      out = out.subspan(n);
      used_ += n;
    }
    return {};
  }

 private:
  Status next_piece() {
    if (n_left_ == 0) return data_loss("fewer pages than the cache needs");
    piece_.resize(std::min<std::uint64_t>(n_left_, kPieceBytes));
    used_ = 0;
    std::uint64_t sum = 0;
    TRY(file_.read_at(offset_, piece_));
    TRY(file_.read_at(offset_ + piece_.size(), std::as_writable_bytes(std::span(&sum, 1))));
    if (sum != checksum64(piece_)) return data_loss("wrong checksum at byte {}", offset_);
    offset_ += piece_.size() + sizeof sum;
    n_left_ -= piece_.size();
    return {};
  }

  const MappedFile& file_;
  std::uint64_t offset_, n_left_;
  std::vector<std::byte> piece_;
  std::size_t used_ = 0;
};

// The header of a file whose size is right, and where its pages begin.
Result<std::pair<Header, std::uint64_t>> read_header(const MappedFile& file,
                                                     const std::string& expected_identity) {
  char magic[sizeof kMagic];
  std::uint64_t n_header = 0, sum = 0;
  std::uint64_t offset = sizeof magic + sizeof n_header;
  if (file.size_bytes() < offset) return data_loss("{} bytes", file.size_bytes());
  TRY(file.read_at(0, std::as_writable_bytes(std::span(magic))));
  TRY(file.read_at(sizeof magic, std::as_writable_bytes(std::span(&n_header, 1))));
  if (std::memcmp(magic, kMagic, sizeof magic) != 0) return data_loss("another format");
  if (n_header > kMostHeaderBytes || file.size_bytes() < offset + n_header + sizeof sum) {
    return data_loss("a header of {} bytes in a file of {}", n_header, file.size_bytes());
  }
  std::vector<std::byte> bytes(n_header);
  TRY(file.read_at(offset, bytes));
  TRY(file.read_at(offset + n_header, std::as_writable_bytes(std::span(&sum, 1))));
  if (sum != checksum64(bytes)) return data_loss("wrong checksum of the header");
  Header header = TRY(parse_header(bytes));
  offset += n_header + sizeof sum;
  if (header.identity != expected_identity) return data_loss("of another model or build");
  if (header.page_bytes > file.size_bytes() ||
      file.size_bytes() != offset + bytes_with_checksums(header.page_bytes)) {
    return data_loss("{} bytes, expected {} of pages", file.size_bytes(), header.page_bytes);
  }
  return std::pair(std::move(header), offset);
}

// Time of last use, where a restart finds it.
void touch_file(const std::string& path) { ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0); }

void remove_file(const std::string& path) { ::unlink(path.c_str()); }

// A temporary file whose writer is gone.
bool is_left_behind(const std::string& file_name) {
  const std::string sign = std::string(kSuffix) + ".tmp-";
  const auto place = file_name.find(sign);
  if (place == std::string::npos) return false;
  const int writer = std::atoi(file_name.c_str() + place + sign.size());
  return writer <= 0 || writer == ::getpid() || ::kill(writer, 0) != 0;
}

}  // namespace

PrefixStore::PrefixStore(PrefixStoreOptions options, std::shared_ptr<const KvPlan> plan,
                         std::shared_ptr<KvUsage> usage)
    : options_(std::move(options)),
      plan_(std::move(plan)),
      usage_(std::move(usage)),
      identity_(identity(options_.fingerprint, *plan_)) {
  open_folder();
  writer_ = std::thread([this] { write_loop(); });
}

PrefixStore::~PrefixStore() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  writer_.join();
}

// Reads every header; removes what is of no use, and what a crash left behind half-written.
void PrefixStore::open_folder() {
  std::error_code error;
  fs::create_directories(options_.folder, error);
  fs::permissions(options_.folder, fs::perms::owner_all, error);
  std::vector<std::pair<fs::file_time_type, Entry>> found;
  fs::directory_iterator folder(options_.folder, error);
  if (error) {
    is_full_ = true;
    warn(fmt::format("{}: {}; prefixes are not stored", options_.folder, error.message()));
    return;
  }
  for (; folder != fs::directory_iterator(); folder.increment(error)) {
    if (error) break;
    const std::string path = folder->path().string();
    const std::string file_name = folder->path().filename().string();
    if (is_left_behind(file_name)) remove_file(path);
    if (!file_name.ends_with(kSuffix)) continue;
    const auto file = MappedFile::open(path);
    auto header = file.ok() ? read_header(**file, identity_)
                            : Result<std::pair<Header, std::uint64_t>>(file.error());
    if (!header.ok()) {
      remove_file(path);
      ++stats_.n_rejected;
      continue;
    }
    Header& known = header->first;
    found.emplace_back(folder->last_write_time(error),
                       Entry{.path = path,
                             .keys = std::move(known.keys),
                             .lowest_rewind = KvCache::lowest_rewind(*plan_, known.extent),
                             .size_bytes = (*file)->size_bytes()});
  }
  std::ranges::sort(found, {}, [](const auto& entry) { return entry.first; });
  for (auto& [time, entry] : found) {
    entry.last_use = ++n_uses_;
    stats_.size_bytes += entry.size_bytes;
    entries_.push_back(std::move(entry));
  }
  trim();
}

// --- looking up ---

std::optional<PrefixStore::Found> PrefixStore::find_file(std::span<const PositionKey> keys) const {
  std::optional<Found> best;
  for (const Entry& entry : entries_) {
    const std::int64_t n = whole_blocks(keys, n_equal(entry.keys, keys));
    if (n <= 0 || n < entry.lowest_rewind || (best && n <= best->usable)) continue;
    best = Found{entry.path, n};
  }
  return best;
}

std::int64_t PrefixStore::find(std::span<const PositionKey> keys) const {
  const std::lock_guard lock(mutex_);
  const auto found = find_file(keys);
  return found ? found->usable : 0;
}

std::optional<KvCache> PrefixStore::load(std::span<const PositionKey> keys) {
  std::optional<Found> found;
  {
    const std::lock_guard lock(mutex_);
    found = find_file(keys);
  }
  if (!found) return std::nullopt;
  auto cache = read(found->path);
  const bool holds_keys = cache.ok() && cache->rewind(found->usable).ok();
  const bool is_damaged = !cache.ok() && cache.error().code != Code::ResourceExhausted;
  const std::lock_guard lock(mutex_);
  if (is_damaged) {
    forget(found->path);
    ++stats_.n_rejected;
    return std::nullopt;
  }
  if (!holds_keys) return std::nullopt;
  const auto entry = std::ranges::find(entries_, found->path, &Entry::path);
  if (entry != entries_.end()) entry->last_use = ++n_uses_;
  touch_file(found->path);
  ++stats_.n_loaded;
  return std::move(cache).value();
}

Result<KvCache> PrefixStore::read(const std::string& path) const {
  const auto file = TRY(MappedFile::open(path));
  const auto [header, offset] = TRY(read_header(*file, identity_));
  PieceReader reader(*file, offset, header.page_bytes);
  try {
    return KvCache::restore(plan_, usage_, header.extent,
                            [&](std::span<std::byte> out) { return reader.read(out); });
  } catch (const std::bad_alloc&) {
    return resource_exhausted("{}: no memory for it", path);
  }
}

// --- writing ---

bool PrefixStore::add(CachedPrefix prefix) {
  collect();
  if (prefix.cache.length() < options_.least_tokens) return false;
  const auto size = static_cast<std::uint64_t>(prefix.cache.size_bytes());
  {
    const std::lock_guard lock(mutex_);
    if (is_full_ || size > options_.limit_bytes) return false;
    if (!waiting_.empty() && waiting_bytes_ + size > options_.backlog_bytes) return false;
    waiting_bytes_ += size;
    waiting_.push_back(std::move(prefix));
  }
  changed_.notify_all();
  return true;
}

bool PrefixStore::finish_one() {
  {
    std::unique_lock lock(mutex_);
    if (waiting_.empty() && written_.empty()) return false;
    changed_.wait(lock, [&] { return !written_.empty(); });
  }
  collect();
  return true;
}

bool PrefixStore::is_busy() const {
  const std::lock_guard lock(mutex_);
  return !waiting_.empty() || !written_.empty();
}

void PrefixStore::collect() {
  std::vector<CachedPrefix> written;
  const std::lock_guard lock(mutex_);
  written.swap(written_);
}

void PrefixStore::write_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const CachedPrefix& prefix = waiting_.front();  // a deque: it stays where it is
    const std::string path = path_of(prefix.keys);
    const bool is_new =
        !is_full_ && std::ranges::find(entries_, path, &Entry::path) == entries_.end();
    if (is_new) {
      lock.unlock();
      const Status status = write(prefix, path);
      struct stat written = {};
      const bool is_there = status.ok() && ::stat(path.c_str(), &written) == 0;
      if (!status.ok()) {
        warn(fmt::format("{}; prefixes are not stored any more", status.error().message));
      }
      lock.lock();
      is_full_ |= !status.ok();
      if (is_there) {
        ++stats_.n_written;
        const auto size = static_cast<std::uint64_t>(written.st_size);
        stats_.size_bytes += size;
        entries_.push_back({.path = path,
                            .keys = prefix.keys,
                            .lowest_rewind = prefix.cache.lowest_rewind(),
                            .size_bytes = size,
                            .last_use = ++n_uses_});
        trim();
      }
    }
    waiting_bytes_ -= static_cast<std::uint64_t>(waiting_.front().cache.size_bytes());
    written_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    changed_.notify_all();
  }
}

Status PrefixStore::write(const CachedPrefix& prefix, const std::string& path) const {
  Header header{.identity = identity_, .extent = prefix.cache.extent(), .keys = prefix.keys};
  const auto pages = prefix.cache.pages();
  for (const auto& page : pages) header.page_bytes += page.size();
  const std::vector<std::byte> bytes = to_bytes(header);
  const std::uint64_t n_bytes = bytes.size(), sum = checksum64(bytes);

  NewFile file = TRY(NewFile::create(path));
  // Conversations are nobody else's business.
  ::fchmod(file.fd(), S_IRUSR | S_IWUSR);
  TRY(file.write(std::as_bytes(std::span(kMagic))));
  TRY(file.write(std::as_bytes(std::span(&n_bytes, 1))));
  TRY(file.write(bytes));
  TRY(file.write(std::as_bytes(std::span(&sum, 1))));
  PieceWriter writer(file);
  for (const auto& page : pages) TRY(writer.write(page));
  TRY(writer.flush());
  return file.commit();
}

// --- files ---

std::string PrefixStore::path_of(std::span<const PositionKey> keys) const {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(identity_)));
  hash.update(std::as_bytes(keys));
  std::string file_name;
  for (const std::uint8_t byte : hash.finish()) file_name += fmt::format("{:02x}", byte);
  return (fs::path(options_.folder) / (file_name + std::string(kSuffix))).string();
}

void PrefixStore::forget(const std::string& path) {
  const auto entry = std::ranges::find(entries_, path, &Entry::path);
  if (entry == entries_.end()) return;
  remove_file(path);
  stats_.size_bytes -= entry->size_bytes;
  entries_.erase(entry);
}

void PrefixStore::trim() {
  while (stats_.size_bytes > options_.limit_bytes && !entries_.empty()) {
    forget(std::ranges::min_element(entries_, {}, &Entry::last_use)->path);
  }
}

void PrefixStore::warn(const std::string& message) const {
  if (options_.warn) options_.warn(message);
}

PrefixStoreStats PrefixStore::stats() const {
  const std::lock_guard lock(mutex_);
  PrefixStoreStats stats = stats_;
  stats.n_files = entries_.size();
  return stats;
}

}  // namespace fourfold
