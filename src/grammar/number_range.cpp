#include "grammar/number_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace fourfold {

namespace {

constexpr std::string_view kAnyFraction = R"((?:\.[0-9]+)?)";

std::string digit_class(int first, int last) { return fmt::format("[{}-{}]", first, last); }
std::string any_digits(std::size_t n) { return n == 0 ? "" : fmt::format("[0-9]{{{}}}", n); }
int digit(const std::string& digits, std::size_t i) { return digits[i] - '0'; }

std::string either(const std::vector<std::string>& choices) {
  return fmt::format("(?:{})", fmt::join(choices, "|"));
}

// Fractions above .F, or not below it; with the point.
std::string fraction_from(const std::string& f, bool exclusive) {
  const std::string more = exclusive ? "0*[1-9][0-9]*" : "[0-9]*";
  if (f.empty()) return exclusive ? "\\." + more : std::string(kAnyFraction);
  std::vector<std::string> choices;
  for (std::size_t i = 0; i < f.size(); ++i) {
    if (f[i] < '9') choices.push_back(f.substr(0, i) + digit_class(digit(f, i) + 1, 9) + "[0-9]*");
  }
  choices.push_back(f + more);
  return "\\." + either(choices);
}

// Fractions below .F, or not above it; with the point if there is one. Nullopt: none.
std::optional<std::string> fraction_to(const std::string& f, bool exclusive) {
  if (f.empty()) {
    if (exclusive) return std::nullopt;
    return "(?:\\.0+)?";
  }
  std::vector<std::string> choices;
  for (std::size_t i = 0; i < f.size(); ++i) {
    if (i > 0) choices.push_back(f.substr(0, i));
    if (f[i] > '0') choices.push_back(f.substr(0, i) + digit_class(0, digit(f, i) - 1) + "[0-9]*");
  }
  if (!exclusive) choices.push_back(f + "0*");
  return "(?:\\." + either(choices) + ")?";
}

// Numbers without a sign, not below (or above) that magnitude.
std::string magnitude_from(const Decimal& bound, bool exclusive) {
  const std::string& d = bound.digits;
  std::vector<std::string> choices;
  choices.push_back(fmt::format("[1-9][0-9]{{{},}}{}", d.size(), kAnyFraction));
  for (std::size_t i = 0; i < d.size(); ++i) {
    if (d[i] == '9') continue;
    choices.push_back(d.substr(0, i) + digit_class(digit(d, i) + 1, 9) +
                      any_digits(d.size() - i - 1) + std::string(kAnyFraction));
  }
  choices.push_back(d + fraction_from(bound.fraction, exclusive));
  return either(choices);
}

// Numbers without a sign, not above (or below) that magnitude; nullopt: none.
std::optional<std::string> magnitude_to(const Decimal& bound, bool exclusive) {
  const std::string& d = bound.digits;
  std::vector<std::string> choices;
  if (d.size() > 1) {
    choices.push_back(fmt::format("(?:0|[1-9][0-9]{{0,{}}}){}", d.size() - 2, kAnyFraction));
  }
  for (std::size_t i = 0; i < d.size(); ++i) {
    const int least = i == 0 && d.size() > 1 ? 1 : 0;
    if (digit(d, i) <= least) continue;
    choices.push_back(d.substr(0, i) + digit_class(least, digit(d, i) - 1) +
                      any_digits(d.size() - i - 1) + std::string(kAnyFraction));
  }
  if (const auto fraction = fraction_to(bound.fraction, exclusive))
    choices.push_back(d + *fraction);
  if (choices.empty()) return std::nullopt;
  return either(choices);
}

// One side of zero whole, and the other up to the bound; or the far part of one side.
std::string half_line(const NumberRange::Bound& bound, bool upwards) {
  const bool bound_is_inside = bound.value.negative != !upwards;  // zero lies beyond the bound
  const std::string near_sign = upwards ? "-" : "", far_sign = upwards ? "" : "-";
  if (!bound_is_inside || bound.value.is_zero()) {
    const std::string far = far_sign + magnitude_from(bound.value, bound.exclusive);
    const bool has_zero = bound.value.is_zero() && !bound.exclusive;
    return has_zero && !upwards ? either({far, "0(?:\\.0+)?"}) : far;
  }
  std::vector<std::string> choices = {far_sign + "[0-9]+" + std::string(kAnyFraction)};
  if (const auto near = magnitude_to(bound.value, bound.exclusive)) {
    choices.push_back(near_sign + *near);
  }
  return either(choices);
}

int n_integer_digits(const NumberRange& range) {
  std::size_t n = 18;
  if (range.lower) n = std::max(n, range.lower->value.digits.size());
  if (range.upper) n = std::max(n, range.upper->value.digits.size());
  return static_cast<int>(n);
}

std::string shape(const NumberRange& range) {
  const int n_digits = n_integer_digits(range) - range.n_trailing_zeros;
  const std::string zeros(static_cast<std::size_t>(range.n_trailing_zeros), '0');
  std::string out = fmt::format("-?(?:0|[1-9][0-9]{{0,{}}}{})", std::max(n_digits - 1, 0), zeros);
  if (!range.integer && range.max_fraction_digits > 0) {
    out += fmt::format("(?:\\.[0-9]{{1,{}}})?", range.max_fraction_digits);
  }
  if (range.exponents) out += "(?:[eE][+-]?[0-9]{1,2})?";
  return out;
}

void strip(Decimal& value) {
  const auto first = value.digits.find_first_not_of('0');
  value.digits = first == std::string::npos ? "0" : value.digits.substr(first);
  const auto last = value.fraction.find_last_not_of('0');
  value.fraction.resize(last == std::string::npos ? 0 : last + 1);
  if (value.is_zero()) value.negative = false;
}

// The nearest integer that is not beyond the bound, as seen from inside.
Decimal rounded_inwards(const NumberRange::Bound& bound, bool upwards) {
  Decimal value = bound.value;
  const bool was_whole = value.fraction.empty();
  value.fraction.clear();
  const bool truncation_went_inwards = !was_whole && value.negative == upwards;
  const bool must_step = was_whole ? bound.exclusive : !truncation_went_inwards;
  if (!must_step) {
    strip(value);
    return value;
  }
  // One step further: the magnitude grows, or shrinks if the step is towards zero.
  const bool grows = value.negative != upwards;
  for (std::size_t i = value.digits.size(); i-- > 0;) {
    char& d = value.digits[i];
    if (grows) {
      if (d < '9') return ++d, value;
      d = '0';
    } else {
      if (d > '0') {
        --d;
        strip(value);
        return value;
      }
      d = '9';
    }
  }
  if (grows) {
    value.digits.insert(0, 1, '1');
    return value;
  }
  return {.negative = !upwards, .digits = "1", .fraction = {}};  // from 0 across to ±1
}

}  // namespace

Result<Decimal> parse_decimal(std::string_view text) {
  const auto wrong = [&] { return invalid_argument("\"{}\" is not a number", text); };
  Decimal value;
  std::size_t at = 0;
  if (text.starts_with('-')) value.negative = true, at = 1;
  const auto digits = [&] {
    const auto begin = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return std::string(text.substr(begin, at - begin));
  };
  value.digits = digits();
  if (value.digits.empty()) return wrong();
  if (at < text.size() && text[at] == '.') {
    ++at;
    value.fraction = digits();
  }
  int exponent = 0;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    const bool negative = at < text.size() && text[at] == '-';
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    const auto magnitude = digits();
    if (magnitude.empty() || magnitude.size() > 3) return wrong();
    exponent = std::stoi(magnitude) * (negative ? -1 : 1);
  }
  if (at != text.size()) return wrong();
  const auto shift = static_cast<std::size_t>(exponent < 0 ? -exponent : exponent);
  if (exponent > 0) {
    value.fraction.resize(std::max(value.fraction.size(), shift), '0');
    value.digits += value.fraction.substr(0, shift);
    value.fraction.erase(0, shift);
  } else if (exponent < 0) {
    value.digits.insert(0, shift, '0');
    value.fraction.insert(0, value.digits.substr(value.digits.size() - shift));
    value.digits.resize(value.digits.size() - shift);
  }
  strip(value);
  return value;
}

std::string to_string(const Decimal& value) {
  std::string out = value.negative ? "-" : "";
  out += value.digits;
  if (!value.fraction.empty()) out += "." + value.fraction;
  return out;
}

int compare(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  const int sign = a.negative ? -1 : 1;
  if (a.digits.size() != b.digits.size()) return a.digits.size() < b.digits.size() ? -sign : sign;
  if (const int order = a.digits.compare(b.digits)) return order < 0 ? -sign : sign;
  const int order = a.fraction.compare(b.fraction);  // a prefix is the smaller one
  return order == 0 ? 0 : order < 0 ? -sign : sign;
}

bool NumberRange::is_empty() const {
  if (!lower || !upper) return false;
  if (integer) {
    return compare(rounded_inwards(*lower, true), rounded_inwards(*upper, false)) > 0;
  }
  const int order = compare(lower->value, upper->value);
  return order > 0 || (order == 0 && (lower->exclusive || upper->exclusive));
}

std::string number_terminal(const NumberRange& range) {
  std::string out = fmt::format("/{}/", shape(range));
  if (range.lower) out += fmt::format(" & /{}/", half_line(*range.lower, true));
  if (range.upper) out += fmt::format(" & /{}/", half_line(*range.upper, false));
  return out;
}

}  // namespace fourfold
