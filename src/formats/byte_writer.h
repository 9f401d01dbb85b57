// Appends little-endian values to bytes, as GGUF and safetensors files have them. The machines that
// we run on are little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace fourfold {

class ByteWriter {
 public:
  template <class T>
  ByteWriter& number(T value) {
    return raw(&value, sizeof value);
  }
  // A GGUF string: its length as u64, then its bytes.
  ByteWriter& string(std::string_view text) {
    number<std::uint64_t>(text.size());
    return raw(text.data(), text.size());
  }
  ByteWriter& raw(const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), begin, begin + size);
    return *this;
  }
  ByteWriter& raw(std::string_view text) { return raw(text.data(), text.size()); }
  ByteWriter& zeros(std::size_t size) {
    bytes.resize(bytes.size() + size);
    return *this;
  }
  ByteWriter& pad_to(std::size_t unit) { return zeros((unit - bytes.size() % unit) % unit); }

  std::vector<std::byte> bytes;
};

}  // namespace fourfold
