// Numbers between two bounds as a regular language, exact for bounds of any size.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fourfold {

// A decimal number of any size.
struct Decimal {
  bool negative = false;
  std::string digits = "0";   // of the integer part; no leading zeros
  std::string fraction = "";  // no trailing zeros

  bool is_zero() const { return digits == "0" && fraction.empty(); }
};

// From JSON's spelling, exponents included ("1.5e3").
Result<Decimal> parse_decimal(std::string_view text);
// Without an exponent.
std::string to_string(const Decimal& value);
// Below zero, zero or above as a is smaller than, equal to or greater than b.
int compare(const Decimal& a, const Decimal& b);

struct NumberRange {
  struct Bound {
    Decimal value;
    bool exclusive = false;
  };

  bool integer = false;
  std::optional<Bound> lower, upper;
  int max_fraction_digits = 20;
  int n_trailing_zeros = 0;  // multiples of 10, 100, …; of integers only
  bool exponents = false;    // only without bounds

  bool is_empty() const;
};

// Body of a Lark terminal. Numbers have at most 18 digits before the point (they fit 64 bits),
// more only if a bound has more.
std::string number_terminal(const NumberRange& range);

}  // namespace fourfold
