#include "base/letter_case.h"

#include <algorithm>
#include <cstdint>
#include <span>

#include "base/code_point.h"

namespace fourfold {
namespace {

// Characters first, first + step, … last differ from their counterparts by delta.
struct CaseRange {
  char32_t first, last;
  char32_t step;
  std::int32_t delta;
};
// A character whose counterpart is several.
struct CaseText {
  char32_t code;
  std::string_view text;
};

#include "base/letter_case.inc"

struct CaseTable {
  std::span<const CaseRange> ranges;
  std::span<const CaseText> texts;
};

void append_converted(char32_t code, const CaseTable& table, std::string& out) {
  const auto text = std::lower_bound(table.texts.begin(), table.texts.end(), code,
                                     [](const CaseText& a, char32_t b) { return a.code < b; });
  if (text != table.texts.end() && text->code == code) {
    out += text->text;
    return;
  }
  const auto range = std::lower_bound(table.ranges.begin(), table.ranges.end(), code,
                                      [](const CaseRange& a, char32_t b) { return a.last < b; });
  const bool is_inside = range != table.ranges.end() && code >= range->first &&
                         (code - range->first) % range->step == 0;
  append_utf8(is_inside ? code + static_cast<char32_t>(range->delta) : code, out);
}

std::string convert(std::string_view text, const CaseTable& table) {
  std::string out;
  while (!text.empty()) {
    const CodePoint first = first_code_point(text);
    if (first.code >= kEndOfUnicode) {
      out += text.front();
    } else {
      append_converted(first.code, table, out);
    }
    text.remove_prefix(first.size_bytes);
  }
  return out;
}

}  // namespace

std::string to_lower(std::string_view text) {
  return convert(text, {.ranges = kLowerRanges, .texts = kLowerTexts});
}

std::string to_upper(std::string_view text) {
  return convert(text, {.ranges = kUpperRanges, .texts = kUpperTexts});
}

}  // namespace fourfold
