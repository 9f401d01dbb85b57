#include "base/json.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/utf8.h"

namespace fourfold {
namespace {

// Walks the text and tells the builder how far the lexer has read: the SAX calls carry no position.
class TrackingIterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TrackingIterator(const char* at, const char** read_end) : at_(at), read_end_(read_end) {}

  reference operator*() const { return *at_; }
  TrackingIterator& operator++() {
    *read_end_ = ++at_;
    return *this;
  }
  bool operator==(const TrackingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const TrackingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** read_end_;
};

// What the parser found wrong, without the user's text that its message quotes.
std::string reason_of(const nlohmann::detail::exception& error) {
  constexpr int kNumberOverflow = 406;
  if (error.id == kNumberOverflow) return "number outside the range of a double";
  std::string reason = error.what();
  if (const auto dash = reason.find(" - "); dash != std::string::npos) reason.erase(0, dash + 3);
  if (const auto quote = reason.find("; last read: "); quote != std::string::npos) {
    reason.erase(quote);
  }
  return reason;
}

// Receives the parser's events and builds the value. Returning false stops the parser.
class Builder {
  using Json = nlohmann::json;

 public:
  Builder(std::string_view text, const JsonOptions& options) : text_(text), options_(options) {}

  const char** read_end() { return &read_end_; }
  Json take_root() { return std::move(root_); }
  Error take_error() { return std::move(*error_); }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(Json::number_integer_t value) { return add(value); }
  bool number_unsigned(Json::number_unsigned_t value) { return add(value); }
  bool string(Json::string_t& value) { return add(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }  // never in JSON text

  bool number_float(Json::number_float_t value, const Json::string_t& digits) {
    if (digits.find_first_of(".eE") != std::string::npos) return add(value);
    return fail(number_end() - digits.size(), "integer beyond 64 bits");
  }

  bool start_object(std::size_t) { return open(Json::object()); }
  bool start_array(std::size_t) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(Json::string_t& name) {
    Level& level = levels_.back();
    const bool is_new = open_member(level, name);
    if (is_new || !options_.reject_duplicate_keys) return true;
    return fail(offset_of(read_end_), fmt::format("duplicate key {}", printable(name)));
  }

  template <class Exception>
  bool parse_error(std::size_t position, const std::string&, const Exception& error) {
    const std::size_t n_read = position == 0 ? 0 : position - 1;
    return fail(std::min(n_read, text_.size()), reason_of(error));
  }

 private:
  struct Level {
    Json* container = nullptr;  // inside root_; stays in place until the level is closed
    Json* member = nullptr;     // where the next value of an object goes
  };

  // Points level.member at the named member; true when it did not exist before.
  static bool open_member(Level& level, const std::string& name) {
    auto& object = *level.container->get_ptr<Json::object_t*>();
    const auto [place, inserted] = object.try_emplace(name);
    level.member = &place->second;
    return inserted;
  }

  template <class Value>
  bool add(Value&& value) {
    place(std::forward<Value>(value));
    return true;
  }

  template <class Value>
  Json* place(Value&& value) {
    if (levels_.empty()) {
      root_ = Json(std::forward<Value>(value));
      return &root_;
    }
    Level& level = levels_.back();
    if (level.container->is_array()) {
      auto& array = *level.container->get_ptr<Json::array_t*>();
      return &array.emplace_back(std::forward<Value>(value));
    }
    *level.member = Json(std::forward<Value>(value));
    return level.member;
  }

  bool open(Json container) {
    if (levels_.size() >= static_cast<std::size_t>(options_.max_depth)) {
      return fail(offset_of(read_end_) - 1,
                  fmt::format("nested too deeply (at most {} levels)", options_.max_depth));
    }
    levels_.push_back({.container = place(std::move(container))});
    return true;
  }

  bool close() {
    levels_.pop_back();
    return true;
  }

  bool fail(std::size_t offset, std::string_view reason) {
    error_ = invalid_argument("offset {}: {}", offset, reason);
    return false;
  }

  std::size_t offset_of(const char* at) const {
    return static_cast<std::size_t>(at - text_.data());
  }

  // The lexer has read one character past a number, unless the text ends with it.
  std::size_t number_end() const {
    const bool at_last_digit = read_end_[-1] >= '0' && read_end_[-1] <= '9';
    return offset_of(read_end_) - (at_last_digit ? 0 : 1);
  }

  std::string_view text_;
  const JsonOptions& options_;
  const char* read_end_ = text_.data();
  Json root_;
  std::vector<Level> levels_;
  std::optional<Error> error_;
};

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, const JsonOptions& options) {
  Builder builder(text, options);
  const TrackingIterator begin(text.data(), builder.read_end());
  const TrackingIterator end(text.data() + text.size(), builder.read_end());
  if (!nlohmann::json::sax_parse(begin, end, &builder)) return builder.take_error();
  return builder.take_root();
}

}  // namespace fourfold
