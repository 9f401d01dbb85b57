#include "cli/flags.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <map>

#include "base/utf8.h"

namespace fourfold {
namespace {

template <class T>
std::optional<T> parse_whole(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// "from 0 to 1", "of 1 or more": every flag of ours has a least value or no limit at all.
template <class T, class Range>
std::string describe(const Range& range) {
  if (range.most != Range{}.most) return fmt::format(" from {} to {}", range.least, range.most);
  return range.least != Range{}.least ? fmt::format(" of {} or more", range.least) : "";
}

std::string first_long_name(const Flag& flag) {
  return flag.names.substr(flag.names.find_first_not_of(' ', flag.names.rfind(',') + 1));
}

// Hands every value on; what is wrong with one is said under the flag's name.
CLI::callback_t take_all(const Flag& flag, TakeValue take) {
  return [name = first_long_name(flag),
          take = std::move(take)](const std::vector<std::string>& values) {
    for (const auto& value : values) {
      const Status taken = take(value);
      if (!taken.ok()) throw CLI::ValidationError(name, taken.error().message);
    }
    return true;
  };
}

}  // namespace

void add_value_flag(CLI::App& command, Flag flag, TakeValue take) {
  command.add_option(flag.names, take_all(flag, std::move(take)), flag.help)
      ->type_name(flag.value)
      ->group(flag.group)
      ->multi_option_policy(flag.repeatable ? CLI::MultiOptionPolicy::TakeAll
                                            : CLI::MultiOptionPolicy::TakeLast);
}

void add_optional_value_flag(CLI::App& command, Flag flag, TakeValue take) {
  command.add_option(flag.names, take_all(flag, std::move(take)), flag.help)
      ->expected(0)
      ->type_name(flag.value)
      ->group(flag.group)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void add_switch(CLI::App& command, Flag flag, bool& target) {
  command.add_flag(flag.names, target, flag.help)->group(flag.group);
}

void add_argument(CLI::App& command, Flag flag, std::string& target, bool required) {
  command.add_option(flag.names, target, flag.help)->type_name("")->required(required);
}

void add_arguments(CLI::App& command, Flag flag, std::vector<std::string>& target) {
  // No vector option of CLI11: it would take "[a, b]" apart. An option that still lacks values gets
  // every positional as it is, and nothing asks for the values that never come.
  constexpr int kMany = 1 << 20;
  CLI::callback_t take_all = [&target](const std::vector<std::string>& values) {
    target = values;
    return true;
  };
  command.add_option(flag.names, take_all, flag.help)
      ->type_name("")
      ->expected(kMany)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

std::vector<GivenArgument> arguments_in_order(const CLI::App& command) {
  std::vector<GivenArgument> arguments;
  std::map<const CLI::Option*, std::size_t> n_seen;
  for (const CLI::Option* option : command.parse_order()) {
    const std::size_t i = n_seen[option]++;
    const auto& values = option->results();
    if (i >= values.size()) continue;
    const auto& long_names = option->get_lnames();
    arguments.push_back(
        {long_names.empty() ? option->get_name(true) : "--" + long_names.front(), values[i]});
  }
  return arguments;
}

Result<std::int64_t> parse_integer(std::string_view text, IntegerRange range) {
  const auto value = parse_whole<std::int64_t>(text);
  if (!value || *value < range.least || *value > range.most) {
    return invalid_argument("{} (expected a whole number{})", printable(text),
                            describe<std::int64_t>(range));
  }
  return *value;
}

Result<double> parse_number(std::string_view text, NumberRange range) {
  const auto value = parse_whole<double>(text);
  if (!value || !(*value >= range.least && *value <= range.most)) {
    return invalid_argument("{} (expected a number{})", printable(text), describe<double>(range));
  }
  return *value;
}

}  // namespace fourfold
