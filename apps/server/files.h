// Files that clients have uploaded, on disk until they expire (http-apis.md 2.12).
//
//   const auto session = TRY(files.begin_upload({.display_name = "a.png"}));
//   auto got = TRY(files.take_chunk(session, 0, {.path = body_file}, /*is_last=*/true));
//   files.load(got.file->id);                       // by whoever's request names it
//
// Equal contents are kept once. What was stored survives a restart. Any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/gemini_content.h"
#include "base/result.h"
#include "server/server_state.h"

namespace fourfold {

struct FilesOptions {
  std::string folder;  // empty: a temporary one
  std::uint64_t most_file_bytes = 2ull << 30;
  std::uint64_t most_stored_bytes = 20ull << 30;
  std::int64_t lifetime_s = 48 * 3600;
  std::int64_t session_lifetime_s = 3600;
  std::function<std::int64_t()> now_s;  // null: the clock
};

class Files {
 public:
  struct File {
    std::string id;  // "abc123"
    std::string display_name;
    std::string mime;
    std::uint64_t size_bytes = 0;
    std::string sha256;  // 64 hexadecimal digits
    std::int64_t created_s = 0, updated_s = 0, expires_s = 0;
  };

  struct Upload {
    std::string id;  // that the client chose; empty: one is made
    std::string display_name;
    std::string mime;  // empty: told from the bytes
    std::optional<std::uint64_t> size_bytes;
  };

  // The bytes of a chunk: in a file that may be moved away, or here.
  struct Chunk {
    std::string path;
    std::string_view bytes;
  };

  struct Received {
    std::uint64_t n_bytes = 0;
    std::optional<File> file;  // when all have come
  };

  static Result<std::unique_ptr<Files>> open(const ServerSettings& settings);
  static Result<std::unique_ptr<Files>> open(FilesOptions options);
  ~Files();

  // The name of a session that nobody guesses. AlreadyExists for an id that is taken,
  // ResourceExhausted if there is no room.
  Result<std::string> begin_upload(Upload upload);
  // Bytes that came before are passed over; OutOfRange for a gap.
  Result<Received> take_chunk(std::string_view session, std::uint64_t offset, const Chunk& chunk,
                              bool is_last);
  Result<Received> received(std::string_view session);
  Status cancel_upload(std::string_view session);

  std::vector<File> list();  // newest first
  // All of these: NotFound.
  Result<File> find(std::string_view id);
  Result<StoredFile> load(std::string_view id);
  Result<std::string> path_of(std::string_view id);  // of its bytes
  Status remove(std::string_view id);

 private:
  struct Impl;
  explicit Files(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fourfold
