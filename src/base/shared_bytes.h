// Bytes that copies share: a request with a film of 2 GiB is copied as cheaply as one without.
//
//   SharedBytes picture = std::move(text);                       // a std::string
//   SharedBytes film(TRY(MappedFile::open("film.mp4")));         // never in memory as a whole
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/mapped_file.h"

namespace fourfold {

class SharedBytes {
 public:
  SharedBytes() = default;
  SharedBytes(std::string bytes) {
    const auto owned = std::make_shared<const std::string>(std::move(bytes));
    bytes_ = std::as_bytes(std::span<const char>(*owned));
    owner_ = owned;
  }
  SharedBytes(std::shared_ptr<const MappedFile> file)
      : bytes_(file->bytes()), owner_(std::move(file)) {}

  std::span<const std::byte> bytes() const { return bytes_; }
  std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // The same for all copies, and for nothing else while one of them lives.
  const std::shared_ptr<const void>& owner() const { return owner_; }

  friend bool operator==(const SharedBytes& a, const SharedBytes& b) {
    return a.text() == b.text();
  }
  template <class T>
    requires(std::convertible_to<const T&, std::string_view> && !std::same_as<T, SharedBytes>)
  friend bool operator==(const SharedBytes& a, const T& b) {
    return a.text() == std::string_view(b);
  }

 private:
  std::span<const std::byte> bytes_;  // of owner_
  std::shared_ptr<const void> owner_;
};

}  // namespace fourfold
