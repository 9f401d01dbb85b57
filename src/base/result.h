// Errors as values: Result<T> holds a T or an Error; TRY unwraps or returns to the caller.
//
//   Result<Config> load_config(const std::string& path) {
//     const auto text = TRY(read_file(path));
//     if (text.empty()) return data_loss("{}: empty, expected a JSON object", path);
//     return parse_config(text);
//   }
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace fourfold {

// The google.rpc codes; one table in api/ maps them to HTTP.
enum class Code {
  Cancelled = 1,
  Unknown = 2,
  InvalidArgument = 3,
  DeadlineExceeded = 4,
  NotFound = 5,
  AlreadyExists = 6,
  PermissionDenied = 7,
  ResourceExhausted = 8,
  FailedPrecondition = 9,
  Aborted = 10,
  OutOfRange = 11,
  Unimplemented = 12,
  Internal = 13,
  Unavailable = 14,
  DataLoss = 15,
  Unauthenticated = 16,
};

// "INVALID_ARGUMENT" …
std::string_view code_name(Code code);

// What programs read of an error beside its code. Most errors have none.
struct ErrorDetail {
  std::string reason;               // "context_length_exceeded", "queue_full" …
  std::string field;                // of a request: "messages[2].content[0].image_url"
  double retry_after_s = 0.0;       // worth a second try after that time; 0: not known
  std::int64_t prompt_tokens = 0;   // of a prompt that is too long,
  std::int64_t context_tokens = 0;  // and what there is room for
};

struct Error {
  Code code = Code::Unknown;
  std::string message;  // where: what (what was expected)
  std::shared_ptr<const ErrorDetail> detail = {};

  Error with(ErrorDetail more) && {
    detail = std::make_shared<const ErrorDetail>(std::move(more));
    return std::move(*this);
  }
  // The reason, or nothing.
  std::string_view reason() const { return detail ? std::string_view(detail->reason) : ""; }

  // The same error, told from further out: "context: message".
  Error in(std::string_view context) && {
    message = fmt::format("{}: {}", context, message);
    return std::move(*this);
  }
};

template <class... Args>
Error invalid_argument(fmt::format_string<Args...> format, Args&&... args) {
  return {Code::InvalidArgument, fmt::format(format, std::forward<Args>(args)...)};
}
template <class... Args>
Error not_found(fmt::format_string<Args...> format, Args&&... args) {
  return {Code::NotFound, fmt::format(format, std::forward<Args>(args)...)};
}
template <class... Args>
Error resource_exhausted(fmt::format_string<Args...> format, Args&&... args) {
  return {Code::ResourceExhausted, fmt::format(format, std::forward<Args>(args)...)};
}
template <class... Args>
Error failed_precondition(fmt::format_string<Args...> format, Args&&... args) {
  return {Code::FailedPrecondition, fmt::format(format, std::forward<Args>(args)...)};
}
template <class... Args>
Error unimplemented(fmt::format_string<Args...> format, Args&&... args) {
  return {Code::Unimplemented, fmt::format(format, std::forward<Args>(args)...)};
}
template <class... Args>
Error internal_error(fmt::format_string<Args...> format, Args&&... args) {
  return {Code::Internal, fmt::format(format, std::forward<Args>(args)...)};
}
// The bytes of a file or message are not what they must be.
template <class... Args>
Error data_loss(fmt::format_string<Args...> format, Args&&... args) {
  return {Code::DataLoss, fmt::format(format, std::forward<Args>(args)...)};
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  void value() const {}
  const Error& error() const& { return *error_; }
  Error&& error() && { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

// The value of a Result, or return its error from the enclosing function.
#define TRY(...)                                                            \
  __extension__({                                                           \
    auto fourfold_result_ = (__VA_ARGS__);                                  \
    if (!fourfold_result_.ok()) return std::move(fourfold_result_).error(); \
    std::move(fourfold_result_).value();                                    \
  })

// The same, with context in front of the message: TRY_IN(path, parse(bytes)).
#define TRY_IN(context, ...)                                                            \
  __extension__({                                                                       \
    auto fourfold_result_ = (__VA_ARGS__);                                              \
    if (!fourfold_result_.ok()) return std::move(fourfold_result_).error().in(context); \
    std::move(fourfold_result_).value();                                                \
  })

}  // namespace fourfold
