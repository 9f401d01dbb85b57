// Prefixes on disk: what was computed comes back after an hour, or after a restart.
//
//   PrefixStore store({.folder = …, .fingerprint = …}, plan, usage);
//   store.add(prefix);                              // written by a thread of its own
//   if (auto cache = store.load(prompt)) …          // the longest prefix that can be gone on from
//
// A file is written under another name, synced and renamed. One that is damaged, of another version
// or of another model is removed, counted, and never used.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "runtime/prefix_cache.h"

namespace fourfold {

struct PrefixStoreOptions {
  std::string folder;  // for this model alone; made if it is not there. Empty: no store
  // Of the model, its adapters and the instruction set: with another one the files are of no use.
  std::string fingerprint;
  std::uint64_t limit_bytes = std::uint64_t{10}
                              << 30;         // beyond it what was not used for longest goes
  std::uint64_t backlog_bytes = 256u << 20;  // of what waits to be written; more is not stored
  std::int64_t least_tokens = 256;           // shorter ones are computed again
  double idle_s = 60.0;                      // what is not used for so long is written
  std::function<void(const std::string&)> warn = {};  // from any thread
};

struct PrefixStoreStats {
  std::uint64_t n_files = 0, size_bytes = 0;
  std::uint64_t n_written = 0, n_loaded = 0;
  std::uint64_t n_rejected = 0;  // damaged, of another version or model
};

class PrefixStore {
 public:
  PrefixStore(PrefixStoreOptions options, std::shared_ptr<const KvPlan> plan,
              std::shared_ptr<KvUsage> usage);
  // Writes what waits.
  ~PrefixStore();

  const PrefixStoreOptions& options() const { return options_; }

  // How many leading tokens of these a file holds such that they can be gone on from. Any thread.
  std::int64_t find(std::span<const PositionKey> keys) const;
  // A cache that holds them. Null if there is none, or if its file is of no use after all.
  std::optional<KvCache> load(std::span<const PositionKey> keys);

  // False, and not taken: too short, too much waits already, or the disk is full.
  bool add(CachedPrefix prefix);
  // Waits until something that waits has been written and its memory is free. False: nothing does.
  bool finish_one();
  // Something waits to be written, or collected.
  bool is_busy() const;
  // Frees the memory of what has been written. The caches' blocks belong to one thread, which calls
  // this, add, load and finish_one.
  void collect();

  PrefixStoreStats stats() const;

 private:
  struct Entry {
    std::string path;
    std::vector<PositionKey> keys;
    std::int64_t lowest_rewind = 0;
    std::uint64_t size_bytes = 0;
    std::uint64_t last_use = 0;  // ascending
  };
  struct Found {
    std::string path;
    std::int64_t usable = 0;
  };

  void open_folder();
  void write_loop();
  Status write(const CachedPrefix& prefix, const std::string& path) const;
  Result<KvCache> read(const std::string& path) const;
  // The three with the mutex held.
  std::optional<Found> find_file(std::span<const PositionKey> keys) const;
  void forget(const std::string& path);
  void trim();
  std::string path_of(std::span<const PositionKey> keys) const;
  void warn(const std::string& message) const;

  const PrefixStoreOptions options_;
  const std::shared_ptr<const KvPlan> plan_;
  const std::shared_ptr<KvUsage> usage_;
  const std::string identity_;  // what a file's header must say

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Entry> entries_;
  std::deque<CachedPrefix> waiting_;   // the first one is being written
  std::vector<CachedPrefix> written_;  // until collect()
  std::uint64_t waiting_bytes_ = 0;
  std::uint64_t n_uses_ = 0;
  PrefixStoreStats stats_;
  bool is_full_ = false;  // a write has failed: no more of them
  bool stop_ = false;
  std::thread writer_;
};

}  // namespace fourfold
