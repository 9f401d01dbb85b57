// The options of an Ollama request: clamped where they are out of range, refused where they are of
// another type.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

#include "api/ollama_request.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

enum class Type { Integer, Number, Boolean, Strings };

struct Option {
  std::string_view name;
  Type type = Type::Integer;
  // Null: known, and without effect here.
  void (*apply)(double value, SamplingChoice& choice) = nullptr;
};

float clamped(double value, double least, double most) {
  return static_cast<float>(std::clamp(value, least, most));
}

int clamped_int(double value, double least) {
  return static_cast<int>(std::clamp(value, least, 1e9));
}

constexpr double kPenaltyRange = 100.0;

constexpr auto kOptions = std::to_array<Option>({
    {"num_predict", Type::Integer,
     [](double v, SamplingChoice& c) {  // nothing and less is open-ended
       c.max_tokens = v > 0 ? static_cast<std::int64_t>(std::min(v, 1e15)) : -1;
     }},
    {"temperature", Type::Number,
     [](double v, SamplingChoice& c) { c.temperature = clamped(v, 0.0, 2.0); }},
    {"top_k", Type::Integer, [](double v, SamplingChoice& c) { c.top_k = clamped_int(v, 0.0); }},
    {"top_p", Type::Number, [](double v, SamplingChoice& c) { c.top_p = clamped(v, 0.0, 1.0); }},
    {"min_p", Type::Number, [](double v, SamplingChoice& c) { c.min_p = clamped(v, 0.0, 1.0); }},
    {"repeat_penalty", Type::Number,
     [](double v, SamplingChoice& c) { c.repeat_penalty = clamped(v, 0.01, kPenaltyRange); }},
    {"repeat_last_n", Type::Integer,
     [](double v, SamplingChoice& c) { c.repeat_last_n = clamped_int(v, -1.0); }},
    {"presence_penalty", Type::Number,
     [](double v, SamplingChoice& c) {
       c.presence_penalty = clamped(v, -kPenaltyRange, kPenaltyRange);
     }},
    {"frequency_penalty", Type::Number,
     [](double v, SamplingChoice& c) {
       c.frequency_penalty = clamped(v, -kPenaltyRange, kPenaltyRange);
     }},
    {"typical_p", Type::Number},
    {"num_keep", Type::Integer},
    {"num_batch", Type::Integer},
    {"num_gpu", Type::Integer},
    {"main_gpu", Type::Integer},
    {"num_thread", Type::Integer},
    {"use_mmap", Type::Boolean},
    {"use_mlock", Type::Boolean},
    {"numa", Type::Boolean},
    {"low_vram", Type::Boolean},
    {"draft_num_predict", Type::Integer},
    {"tfs_z", Type::Number},
    {"mirostat", Type::Integer},
    {"mirostat_tau", Type::Number},
    {"mirostat_eta", Type::Number},
    {"penalize_newline", Type::Boolean},
});

std::string_view type_name(Type type) {
  switch (type) {
    case Type::Integer: return "integer";
    case Type::Number: return "float32";
    case Type::Boolean: return "boolean";
    case Type::Strings: return "array";
  }
  return "";
}

Error wrong_type(std::string_view name, Type type) {
  return invalid_argument("option \"{}\" must be of type {}", name, type_name(type))
      .with({.reason = "", .field = fmt::format("options.{}", name)});
}

Result<double> read_number(std::string_view name, Type type, const JsonValue& value) {
  if (!value.is_number()) return wrong_type(name, type);
  double number = 0.0;
  const char* end = value.text.data() + value.text.size();
  const auto [at, error] = std::from_chars(value.text.data(), end, number);
  if (error == std::errc::result_out_of_range) {  // far beyond every range that we clamp to
    number = value.text.starts_with('-') ? -1e300 : 1e300;
  }
  if (type == Type::Integer && number != std::floor(number)) return wrong_type(name, type);
  return number;
}

// The whole of 64 bits, which a double does not hold.
Status read_seed(const JsonValue& value, SamplingChoice& choice) {
  const double number = TRY(read_number("seed", Type::Integer, value));
  if (number < 0) return {};  // any
  std::uint64_t seed = 0;
  const char* end = value.text.data() + value.text.size();
  const auto [at, error] = std::from_chars(value.text.data(), end, seed);
  const bool is_exact = error == std::errc() && at == end;
  if (!is_exact) {
    seed = number < 1.8e19 ? static_cast<std::uint64_t>(number)
                           : std::numeric_limits<std::uint64_t>::max();
  }
  choice.seed = seed;
  return {};
}

// One string is as good as a list of one.
Status read_stop(const JsonValue& value, SamplingChoice& choice) {
  const std::vector<JsonValue> one = {value};
  if (!value.is_array() && !value.is_string()) return wrong_type("stop", Type::Strings);
  for (const auto& item : value.is_array() ? value.items : one) {
    if (!item.is_string()) return wrong_type("stop", Type::Strings);
    if (!item.text.empty()) choice.stop.push_back(item.text);
  }
  return {};
}

// The context is settled when a model is loaded; only a wish for more than that is worth a word.
Status read_context(const JsonValue& value, std::int64_t context,
                    std::vector<std::string>& warnings) {
  const double wanted = TRY(read_number("num_ctx", Type::Integer, value));
  if (context > 0 && wanted > static_cast<double>(context)) {
    warnings.push_back(fmt::format("num_ctx: the context is {} tokens", context));
  }
  return {};
}

Status read_option(const Option& option, const JsonValue& value, SamplingChoice& choice,
                   std::vector<std::string>& warnings) {
  if (option.type == Type::Boolean) {
    if (!value.is_bool()) return wrong_type(option.name, option.type);
  } else {
    const double number = TRY(read_number(option.name, option.type, value));
    if (option.apply) option.apply(number, choice);
  }
  if (!option.apply) warnings.push_back(fmt::format("option {} has no effect", option.name));
  return {};
}

}  // namespace

Result<SamplingChoice> parse_ollama_options(const JsonValue& options, std::int64_t context,
                                            std::vector<std::string>& warnings) {
  SamplingChoice choice;
  if (options.is_null()) return choice;
  if (!options.is_object()) {
    return invalid_argument("options: expected an object, not {}", options.kind_name());
  }
  for (const auto& [name, value] : options.members) {
    const auto option =
        std::ranges::find_if(kOptions, [&](const Option& known) { return known.name == name; });
    if (value.is_null()) {
      continue;
    } else if (name == "seed") {
      TRY(read_seed(value, choice));
    } else if (name == "stop") {
      TRY(read_stop(value, choice));
    } else if (name == "num_ctx") {
      TRY(read_context(value, context, warnings));
    } else if (option != kOptions.end()) {
      TRY(read_option(*option, value, choice, warnings));
    } else {
      warnings.push_back(fmt::format("unknown option {}", printable(name, 40)));
    }
  }
  return choice;
}

// ---- keep_alive ----

namespace {

struct Unit {
  std::string_view name;
  double ms;
};
// Longer names first where one begins another.
constexpr auto kUnits = std::to_array<Unit>({{"ns", 1e-6},
                                             {"us", 1e-3},
                                             {"µs", 1e-3},
                                             {"ms", 1.0},
                                             {"s", 1e3},
                                             {"m", 60e3},
                                             {"h", 3600e3}});

// Longer than any process lives, and far from overflow.
constexpr double kMostMs = 1e15;

std::chrono::milliseconds from_ms(double ms) {
  const double clamped = std::clamp(ms, -kMostMs, kMostMs);
  // What is not nothing must not become nothing.
  const double whole = clamped < 0 ? std::floor(clamped) : std::ceil(clamped);
  return std::chrono::milliseconds(static_cast<std::int64_t>(whole));
}

// "1h30m" without a sign; nullopt if it is no duration.
std::optional<double> parse_duration(std::string_view text) {
  double total = 0.0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    double amount = 0.0;
    const auto [at, error] =
        std::from_chars(text.data(), text.data() + text.size(), amount, std::chars_format::fixed);
    if (error != std::errc() || text.front() == '-') return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(at - text.data()));
    if (text.empty() && total == 0.0) return amount * 1e3;  // a plain number: seconds
    const auto unit =
        std::ranges::find_if(kUnits, [&](const Unit& one) { return text.starts_with(one.name); });
    if (unit == kUnits.end()) return std::nullopt;
    total += amount * unit->ms;
    text.remove_prefix(unit->name.size());
  }
  return total;
}

}  // namespace

Result<std::chrono::milliseconds> parse_keep_alive(const JsonValue& value) {
  if (value.is_number()) {
    return from_ms(TRY(read_number("keep_alive", Type::Number, value)) * 1e3);
  }
  if (value.is_string()) {
    std::string_view text = value.text;
    const double sign = text.starts_with('-') ? -1.0 : 1.0;
    if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
    const auto ms = parse_duration(text);
    if (ms && !std::isnan(*ms)) return from_ms(sign * *ms);
    return invalid_argument("keep_alive: {} is no duration (5m, 1h30m, 300ms, or seconds)",
                            printable(value.text, 40));
  }
  return invalid_argument("keep_alive: expected seconds or a duration, not {}", value.kind_name());
}

}  // namespace fourfold
