#include "grammar/string_formats.h"

#include <algorithm>
#include <array>

namespace fourfold {

namespace {

// Days that exist, leap years included; years from 1000 on.
#define FOURFOLD_DATE                                                            \
  R"((?:[12]\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-)" \
  R"((?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8])))"                            \
  R"(|(?:[12]\d(?:0[48]|[2468][048]|[13579][26])|(?:12|16|20|24|28)00)-02-29))"
#define FOURFOLD_TIME \
  R"((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d))"
#define FOURFOLD_LABEL R"([A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)"
#define FOURFOLD_BYTE R"((?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))"
#define FOURFOLD_GROUP "[0-9A-Fa-f]{1,4}"
#define FOURFOLD_URI_CHAR R"((?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2}))"

struct Format {
  std::string_view name, pattern;
};

constexpr std::array kFormats = {
    Format{"date", "^" FOURFOLD_DATE "$"},
    Format{"time", "^" FOURFOLD_TIME "$"},
    Format{"date-time", "^" FOURFOLD_DATE "T" FOURFOLD_TIME "$"},
    Format{"duration",
           R"(^P(?:\d{1,9}W|(?:\d{1,9}Y(?:\d{1,9}M(?:\d{1,9}D)?)?|\d{1,9}M(?:\d{1,9}D)?|\d{1,9}D))"
           R"((?:T(?:\d{1,9}H(?:\d{1,9}M(?:\d{1,9}S)?)?|\d{1,9}M(?:\d{1,9}S)?|\d{1,9}S))?)"
           R"(|T(?:\d{1,9}H(?:\d{1,9}M(?:\d{1,9}S)?)?|\d{1,9}M(?:\d{1,9}S)?|\d{1,9}S))$)"},
    Format{"email", R"(^[A-Za-z0-9_+-]{1,20}(?:\.[A-Za-z0-9_+-]{1,20}){0,2}@)" FOURFOLD_LABEL
                    R"((?:\.)" FOURFOLD_LABEL R"(){1,2}$)"},
    Format{"hostname", R"(^(?=.{1,253}$))" FOURFOLD_LABEL R"((?:\.)" FOURFOLD_LABEL R"()*$)"},
    Format{"ipv4", R"(^(?:)" FOURFOLD_BYTE R"(\.){3})" FOURFOLD_BYTE "$"},
    Format{"ipv6", "^(?:(?:" FOURFOLD_GROUP ":){7}" FOURFOLD_GROUP "|(?:" FOURFOLD_GROUP ":){1,7}:"
                   "|(?:" FOURFOLD_GROUP ":){1,6}:" FOURFOLD_GROUP "|(?:" FOURFOLD_GROUP
                   ":){1,5}(?::" FOURFOLD_GROUP "){1,2}"
                   "|(?:" FOURFOLD_GROUP ":){1,4}(?::" FOURFOLD_GROUP "){1,3}"
                   "|(?:" FOURFOLD_GROUP ":){1,3}(?::" FOURFOLD_GROUP "){1,4}"
                   "|(?:" FOURFOLD_GROUP ":){1,2}(?::" FOURFOLD_GROUP "){1,5}"
                   "|" FOURFOLD_GROUP ":(?::" FOURFOLD_GROUP "){1,6}"
                   "|:(?::" FOURFOLD_GROUP "){1,7}|::)$"},
    Format{"uri", R"(^[A-Za-z][A-Za-z0-9+.-]*:(?:\/\/)" FOURFOLD_LABEL R"((?:\.)" FOURFOLD_LABEL
                  R"()*(?::\d{1,5})?(?:\/)" FOURFOLD_URI_CHAR R"(*)*|)" FOURFOLD_URI_CHAR
                  R"(+)(?:\?(?:)" FOURFOLD_URI_CHAR R"(|[\/?])*)?(?:#(?:)" FOURFOLD_URI_CHAR
                  R"(|[\/?])*)?$)"},
    Format{"uuid", "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"},
};

constexpr std::array<std::string_view, 19> kStandard = {
    "date",         "time",          "date-time",
    "duration",     "email",         "idn-email",
    "hostname",     "idn-hostname",  "ipv4",
    "ipv6",         "uri",           "uri-reference",
    "iri",          "iri-reference", "uuid",
    "uri-template", "json-pointer",  "relative-json-pointer",
    "regex"};

}  // namespace

std::optional<std::string_view> find_string_format(std::string_view name) {
  const auto* found = std::ranges::find(kFormats, name, &Format::name);
  if (found == kFormats.end()) return std::nullopt;
  return found->pattern;
}

bool is_standard_format(std::string_view name) {
  return std::ranges::find(kStandard, name) != kStandard.end();
}

}  // namespace fourfold
