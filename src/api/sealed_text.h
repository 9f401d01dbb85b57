// Text that a client carries for us and cannot change: thoughts between tool steps, summaries of a
// history. Tamper-proof, not secret (http-apis.md 2.9).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fourfold {

class Sealer {
 public:
  using Key = std::array<unsigned char, 32>;

  // The key in this file, which is made (mode 600) if there is none; an empty path: a key that
  // lasts as long as this object.
  static Result<Sealer> open(const std::string& key_file);
  explicit Sealer(Key key) : key_(key) {}

  // base64 of a version byte, a 16-byte keyed tag, and the compressed text. nullopt if it would be
  // longer than `most_bytes` (0: no limit).
  std::optional<std::string> seal(std::string_view text, std::size_t most_bytes = 65536) const;
  // nullopt for what we did not seal.
  std::optional<std::string> open_sealed(std::string_view sealed) const;

 private:
  Key key_;
};

}  // namespace fourfold
