#include "api/identifiers.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <ctime>

#include "base/check.h"

namespace fourfold {
namespace {

constexpr std::string_view kCharacters =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::size_t kLower = 36;  // digits and lower case come first

std::string random_characters(std::size_t n, std::string_view of) {
  // Bytes beyond the last full round would favour the first characters.
  const std::size_t limit = 256 / of.size() * of.size();
  std::string out;
  std::array<unsigned char, 64> bytes;
  while (out.size() < n) {
    CHECK(::getentropy(bytes.data(), bytes.size()) == 0);
    for (const auto byte : bytes) {
      if (byte < limit && out.size() < n) out += of[byte % of.size()];
    }
  }
  return out;
}

std::string date_and_time(std::int64_t unix_s) {
  const std::time_t time = unix_s;
  std::tm utc = {};
  ::gmtime_r(&time, &utc);
  std::array<char, 40> text = {};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc)};
}

// A number of exactly so many digits, taken off the front.
std::optional<int> take_digits(std::string_view& text, std::size_t n) {
  int value = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(n);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == any_of.npos) return false;
  text.remove_prefix(1);
  return true;
}

// "Z", "+02:00", in seconds.
std::optional<int> take_offset(std::string_view& text) {
  if (take(text, "Zz")) return 0;
  const int sign = text.starts_with('-') ? -1 : 1;
  if (!take(text, "+-")) return std::nullopt;
  const auto hours = take_digits(text, 2);
  if (!hours || !take(text, ":")) return std::nullopt;
  const auto minutes = take_digits(text, 2);
  if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return sign * (*hours * 3600 + *minutes * 60);
}

}  // namespace

std::string random_id(std::string_view prefix, int n_characters) {
  return std::string(prefix) +
         random_characters(static_cast<std::size_t>(n_characters), kCharacters);
}

std::string random_lower_id(std::string_view prefix, int n_characters) {
  return std::string(prefix) +
         random_characters(static_cast<std::size_t>(n_characters), kCharacters.substr(0, kLower));
}

std::string rfc3339(std::int64_t unix_s) { return date_and_time(unix_s) + "Z"; }

std::string rfc3339_ns(std::int64_t unix_ns) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t rest = ((unix_ns % kSecond) + kSecond) % kSecond;
  const std::string digits = std::to_string(kSecond + rest);  // a 1 in front of nine digits
  return date_and_time((unix_ns - rest) / kSecond) + "." + digits.substr(1) + "Z";
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  namespace chrono = std::chrono;
  const auto year = take_digits(text, 4);
  if (!year || !take(text, "-")) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take(text, "-")) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day || !take(text, "Tt ")) return std::nullopt;
  const auto hour = take_digits(text, 2);
  if (!hour || !take(text, ":")) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || !take(text, ":")) return std::nullopt;
  const auto second = take_digits(text, 2);
  if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  if (take(text, ".")) {
    if (!take_digits(text, 1)) return std::nullopt;
    while (take_digits(text, 1)) continue;
  }
  const auto offset = take_offset(text);
  const chrono::year_month_day date{chrono::year(*year),
                                    chrono::month(static_cast<unsigned>(*month)),
                                    chrono::day(static_cast<unsigned>(*day))};
  if (!offset || !text.empty() || !date.ok()) return std::nullopt;
  const std::int64_t days = chrono::sys_days(date).time_since_epoch().count();
  return days * 86'400 + *hour * 3600 + *minute * 60 + *second - *offset;
}

}  // namespace fourfold
