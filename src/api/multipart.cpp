#include "api/multipart.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/letter_case.h"

namespace fourfold {
namespace {

constexpr std::size_t kMostParts = 100;
constexpr std::size_t kMostHeaderBytes = 8192;
constexpr std::size_t kMostBoundaryBytes = 70;

std::string_view without_spaces(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// "form-data; name=\"file\"; filename=\"a;b.wav\"" piece by piece.
class HeaderValue {
 public:
  explicit HeaderValue(std::string_view text) : rest_(text) {}

  // What stands before the first semicolon, in lower case.
  std::string first() {
    const auto end = std::min(rest_.find(';'), rest_.size());
    const auto value = without_spaces(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return to_lower(value);
  }

  struct Parameter {
    std::string name, value;
  };
  // nullopt at the end, and with is_broken() where something else stands.
  std::optional<Parameter> next() {
    rest_ = without_spaces(rest_);
    if (rest_.empty()) return std::nullopt;
    is_broken_ = !rest_.starts_with(';');
    if (is_broken_) return std::nullopt;
    rest_ = without_spaces(rest_.substr(1));
    if (rest_.empty()) return std::nullopt;
    const auto equals = rest_.find('=');
    is_broken_ = equals == rest_.npos || equals == 0;
    if (is_broken_) return std::nullopt;
    Parameter parameter;
    parameter.name = to_lower(without_spaces(rest_.substr(0, equals)));
    rest_ = without_spaces(rest_.substr(equals + 1));
    if (rest_.starts_with('"')) {
      take_quoted(parameter.value);
    } else {
      const auto end = std::min(rest_.find(';'), rest_.size());
      parameter.value = without_spaces(rest_.substr(0, end));
      rest_.remove_prefix(end);
    }
    if (is_broken_) return std::nullopt;
    return parameter;
  }
  bool is_broken() const { return is_broken_; }

 private:
  void take_quoted(std::string& value) {
    std::size_t at = 1;
    for (; at < rest_.size() && rest_[at] != '"'; ++at) {
      if (rest_[at] == '\\' && at + 1 < rest_.size()) ++at;
      value += rest_[at];
    }
    is_broken_ = at >= rest_.size();
    rest_.remove_prefix(std::min(at + 1, rest_.size()));
  }

  std::string_view rest_;
  bool is_broken_ = false;
};

class MultipartParser {
 public:
  MultipartParser(std::string_view bytes, std::string_view boundary)
      : bytes_(bytes), delimiter_("\r\n--" + std::string(boundary)) {}

  Result<std::vector<FormPart>> parse() {
    // The first delimiter may stand at the very beginning, without its line break.
    const std::string_view first = std::string_view(delimiter_).substr(2);
    if (bytes_.starts_with(first)) {
      at_ = first.size();
    } else if (bytes_.starts_with(delimiter_)) {
      at_ = delimiter_.size();
    } else {
      return error("expected {} from the Content-Type", first);
    }
    std::vector<FormPart> parts;
    while (!TRY(is_last_delimiter())) {
      if (parts.size() == kMostParts) return error("more than {} parts", kMostParts);
      parts.push_back(TRY(parse_part()));
    }
    return parts;
  }

 private:
  template <class... Args>
  Error error(fmt::format_string<Args...> format, Args&&... args) const {
    return invalid_argument("request body: offset {}: {}", at_,
                            fmt::format(format, std::forward<Args>(args)...));
  }

  // Behind a delimiter: "--" at the end, else a line break, spaces before it.
  Result<bool> is_last_delimiter() {
    if (bytes_.substr(at_).starts_with("--")) return true;
    while (at_ < bytes_.size() && (bytes_[at_] == ' ' || bytes_[at_] == '\t')) ++at_;
    if (!bytes_.substr(at_).starts_with("\r\n")) {
      return error("expected a line break or -- behind the boundary");
    }
    at_ += 2;
    return false;
  }

  Result<FormPart> parse_part() {
    FormPart part;
    TRY(parse_headers(part));
    const auto end = bytes_.find(delimiter_, at_);
    if (end == bytes_.npos) return error("the last part \"{}\" does not end", part.name);
    part.offset = at_;
    part.body = bytes_.substr(at_, end - at_);
    at_ = end + delimiter_.size();
    return part;
  }

  Status parse_headers(FormPart& part) {
    const std::size_t begin = at_;
    bool is_named = false;
    for (;;) {
      const auto end = bytes_.find("\r\n", at_);
      if (end == bytes_.npos) return error("the headers of a part do not end");
      if (end - begin > kMostHeaderBytes) {
        return error("headers of a part beyond {} bytes", kMostHeaderBytes);
      }
      const std::string_view line = bytes_.substr(at_, end - at_);
      if (line.empty()) break;
      const auto colon = line.find(':');
      if (colon == line.npos) return error("expected a header, \"name: value\"");
      const auto name = to_lower(without_spaces(line.substr(0, colon)));
      if (name == "content-disposition") {
        TRY(parse_disposition(line.substr(colon + 1), part));
        is_named = true;
      } else if (name == "content-transfer-encoding") {
        const auto coding = to_lower(without_spaces(line.substr(colon + 1)));
        if (coding != "binary" && coding != "8bit" && coding != "7bit") {
          return error("Content-Transfer-Encoding is not supported (expected binary)");
        }
      }
      at_ = end + 2;
    }
    at_ += 2;
    if (!is_named) return error("a part without Content-Disposition");
    return {};
  }

  Status parse_disposition(std::string_view text, FormPart& part) {
    HeaderValue value(text);
    if (value.first() != "form-data") return error("Content-Disposition: expected form-data");
    bool is_named = false;
    while (auto parameter = value.next()) {
      if (parameter->name == "name") {
        part.name = std::move(parameter->value);
        is_named = true;
      } else if (parameter->name == "filename") {
        part.filename = std::move(parameter->value);
      }
    }
    if (value.is_broken()) return error("Content-Disposition: expected name=\"value\"");
    if (!is_named) return error("Content-Disposition: a part without a name");
    return {};
  }

  std::string_view bytes_;
  std::string delimiter_;
  std::size_t at_ = 0;
};

}  // namespace

Result<std::string> read_boundary(std::string_view content_type) {
  HeaderValue value(content_type);
  if (value.first() != "multipart/form-data") {
    return invalid_argument("request header Content-Type: expected multipart/form-data");
  }
  while (const auto parameter = value.next()) {
    if (parameter->name != "boundary") continue;
    const std::string& boundary = parameter->value;
    if (boundary.empty() || boundary.size() > kMostBoundaryBytes) {
      return invalid_argument("request header Content-Type: boundary of {} bytes, expected 1 to {}",
                              boundary.size(), kMostBoundaryBytes);
    }
    return boundary;
  }
  return invalid_argument("request header Content-Type: no boundary");
}

Result<std::vector<FormPart>> parse_multipart(std::string_view bytes, std::string_view boundary) {
  return MultipartParser(bytes, boundary).parse();
}

}  // namespace fourfold
