// Arrays in safetensors files, which `debug` reads and writes.
//
//   ArrayWriter arrays;
//   arrays.add("positions", {n, 2}, std::move(positions));
//   TRY(arrays.write(flags.out));
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/safetensors.h"
#include "tensor/matrix.h"

namespace fourfold {

// The arrays of one file by name.
class Arrays {
 public:
  static Result<Arrays> open(const std::string& path);

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  // NotFound without such an array, InvalidArgument for one of another type.
  Result<std::vector<float>> floats(const std::string& name) const;
  Result<std::vector<std::int32_t>> ints(const std::string& name) const;
  // Empty without such an array.
  std::vector<std::int64_t> shape(const std::string& name) const;

 private:
  template <class T>
  Result<std::vector<T>> read(const std::string& name, DType dtype) const;

  std::string path_;
  std::map<std::string, TensorInfo> tensors_;
};

// Keeps what goes to a file until it is written.
class ArrayWriter {
 public:
  void add(const std::string& name, std::vector<std::int64_t> shape, std::vector<float> values);
  void add(const std::string& name, std::vector<std::int64_t> shape,
           std::vector<std::int32_t> values);
  // "layer", 3 → tap.layer3; "router.weights", 0 → tap.router0.weights; a layer of −1 has none.
  // Rows of the same name follow each other.
  void add_tap(std::string_view what, int layer, const MatView& value);

  // Once, at the end.
  Status write(const std::string& path);

 private:
  template <class T>
  void add_view(const std::string& name, DType dtype, std::vector<std::int64_t> shape,
                const std::vector<T>& values);

  std::list<std::vector<float>> floats_;
  std::list<std::vector<std::int32_t>> ints_;
  std::map<std::string, std::vector<float>> taps_;
  std::map<std::string, std::int64_t> tap_widths_;
  std::vector<TensorToWrite> tensors_;  // views of floats_ and ints_
};

}  // namespace fourfold
