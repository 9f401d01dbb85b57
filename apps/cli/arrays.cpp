#include "cli/arrays.h"

#include <cstring>
#include <span>

namespace fourfold {

Result<Arrays> Arrays::open(const std::string& path) {
  Arrays arrays;
  arrays.path_ = path;
  const auto file = TRY(MappedFile::open(path));
  for (auto& tensor : TRY(read_safetensors(file))) {
    const std::string name = tensor.name;
    arrays.tensors_.emplace(name, std::move(tensor));
  }
  return arrays;
}

template <class T>
Result<std::vector<T>> Arrays::read(const std::string& name, DType dtype) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return not_found("{}: no array {}", path_, name);
  if (found->second.dtype != dtype) {
    return invalid_argument("{}: {} is {}, expected {}", path_, name,
                            fourfold::name(found->second.dtype), fourfold::name(dtype));
  }
  std::vector<T> values(static_cast<std::size_t>(found->second.n_elements()));
  std::memcpy(values.data(), found->second.bytes().data(), found->second.size_bytes);
  return values;
}

Result<std::vector<float>> Arrays::floats(const std::string& name) const {
  return read<float>(name, DType::F32);
}

Result<std::vector<std::int32_t>> Arrays::ints(const std::string& name) const {
  return read<std::int32_t>(name, DType::I32);
}

std::vector<std::int64_t> Arrays::shape(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? std::vector<std::int64_t>() : found->second.shape;
}

void ArrayWriter::add(const std::string& name, std::vector<std::int64_t> shape,
                      std::vector<float> values) {
  floats_.push_back(std::move(values));
  add_view(name, DType::F32, std::move(shape), floats_.back());
}

void ArrayWriter::add(const std::string& name, std::vector<std::int64_t> shape,
                      std::vector<std::int32_t> values) {
  ints_.push_back(std::move(values));
  add_view(name, DType::I32, std::move(shape), ints_.back());
}

void ArrayWriter::add_tap(std::string_view what, int layer, const MatView& value) {
  std::string name = fmt::format("tap.{}", what);
  if (layer >= 0) {
    const auto dot = what.find('.');
    name = fmt::format("tap.{}{}{}", what.substr(0, dot), layer,
                       dot == std::string_view::npos ? "" : what.substr(dot));
  }
  auto& rows = taps_[name];
  for (std::int64_t r = 0; r < value.n_rows; ++r) {
    rows.insert(rows.end(), value.row(r), value.row(r) + value.n_cols);
  }
  tap_widths_[name] = value.n_cols;
}

Status ArrayWriter::write(const std::string& path) {
  for (auto& [name, values] : taps_) {  // chunks follow each other
    const std::int64_t width = tap_widths_[name];
    const auto n_rows = static_cast<std::int64_t>(values.size()) / width;
    if (name.ends_with(".experts")) {
      add(name, {n_rows, width}, std::vector<std::int32_t>(values.begin(), values.end()));
    } else {
      add(name, {n_rows, width}, std::move(values));
    }
  }
  return write_safetensors(path, tensors_);
}

template <class T>
void ArrayWriter::add_view(const std::string& name, DType dtype, std::vector<std::int64_t> shape,
                           const std::vector<T>& values) {
  tensors_.push_back({.name = name,
                      .dtype = dtype,
                      .shape = std::move(shape),
                      .bytes = std::as_bytes(std::span(values))});
}

}  // namespace fourfold
