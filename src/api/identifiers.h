// Names that a server makes up, and times as it writes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fourfold {

// prefix + n characters of [0-9A-Za-z], from the system's random numbers: "chatcmpl-…".
std::string random_id(std::string_view prefix, int n_characters = 24);
// The same of [a-z0-9].
std::string random_lower_id(std::string_view prefix, int n_characters = 12);

// "2026-07-02T00:00:00Z", with nanoseconds "2026-07-02T00:00:00.000000001Z".
std::string rfc3339(std::int64_t unix_s);
std::string rfc3339_ns(std::int64_t unix_ns);
// "2026-07-02T00:00:00.5+02:00" in whole seconds; nullopt for what is no such time.
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

}  // namespace fourfold
