// Files that Ollama's clients send under their digest, for models made of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fourfold {

class OllamaBlobs {
 public:
  // In `folder`/blobs; an empty folder keeps nothing.
  explicit OllamaBlobs(const std::string& folder);

  // Where the blob of this digest ("sha256:…") lies, stored or not. InvalidArgument for what is no
  // digest, FailedPrecondition if nothing is kept.
  Result<std::string> path_of(std::string_view digest) const;
  // nullopt if it is not stored.
  Result<std::optional<std::string>> find(std::string_view digest) const;

  // Takes the file away; InvalidArgument if its bytes have another digest.
  Status take_file(std::string_view digest, const std::string& path) const;
  Status put(std::string_view digest, std::string_view bytes) const;

 private:
  std::string folder_;
};

}  // namespace fourfold
