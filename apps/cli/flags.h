// Flags whose values are checked while the command line is parsed: what is wrong is said in our
// words and ends with status 2.
//
//   add_value_flag(command, {"-n,--max-tokens", "N", "tokens at most (128)"},
//                  take_integer(flags.max_tokens, {.least = 0}));
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace CLI {
class App;
}

namespace fourfold {

// The sections of the help. Shared flags have an environment form, FOURFOLD_THREADS.
inline constexpr const char* kOwnGroup = "Flags";
inline constexpr const char* kSharedGroup = "Shared flags";
inline constexpr const char* kEverywhereGroup = "Flags of every command";

struct Flag {
  std::string names;  // "-t,--threads"
  std::string value;  // what stands for the value in the help: "N"
  std::string help;   // one line, the default in brackets
  const char* group = kOwnGroup;
  // May be given several times; otherwise the last one counts.
  bool repeatable = false;
};

// Stores a value, or says what is wrong with it: "\"x\" is not a number (…)".
using TakeValue = std::function<Status(const std::string& text)>;

void add_value_flag(CLI::App& command, Flag flag, TakeValue take);
// Its value may be left out and follows = only: --think, --think=100. Without one `take` gets "".
void add_optional_value_flag(CLI::App& command, Flag flag, TakeValue take);
void add_switch(CLI::App& command, Flag flag, bool& target);
// A positional argument, and the one that takes all further ones.
void add_argument(CLI::App& command, Flag flag, std::string& target, bool required = true);
void add_arguments(CLI::App& command, Flag flag, std::vector<std::string>& target);

// What a command line gave, in its order, which the callbacks above do not keep: {"--image",
// "cat.png"}, {"prompt", "hello"}. Of switches the value is "true". Settings files are not in it.
struct GivenArgument {
  std::string name, value;
};
std::vector<GivenArgument> arguments_in_order(const CLI::App& command);

struct IntegerRange {
  std::int64_t least = std::numeric_limits<std::int64_t>::min();
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};
struct NumberRange {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
};

template <class T>
struct NumberOfImpl {
  using type = T;
};
template <class T>
struct NumberOfImpl<std::optional<T>> {
  using type = T;
};
template <class T>
using NumberOf = typename NumberOfImpl<T>::type;

Result<std::int64_t> parse_integer(std::string_view text, IntegerRange range = {});
Result<double> parse_number(std::string_view text, NumberRange range = {});

// Any text, for a string or an optional of one, which outlives the command line.
template <class Target>
TakeValue take_text(Target& target) {
  return [&target](const std::string& text) -> Status {
    target = text;
    return {};
  };
}

// `target` is a number or an optional of one, and outlives the command line.
template <class Target>
TakeValue take_integer(Target& target, IntegerRange range = {}) {
  return [&target, range](const std::string& text) -> Status {
    target = static_cast<NumberOf<Target>>(TRY(parse_integer(text, range)));
    return {};
  };
}
template <class Target>
TakeValue take_number(Target& target, NumberRange range = {}) {
  return [&target, range](const std::string& text) -> Status {
    target = static_cast<NumberOf<Target>>(TRY(parse_number(text, range)));
    return {};
  };
}

}  // namespace fourfold
