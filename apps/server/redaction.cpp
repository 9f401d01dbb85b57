#include "server/redaction.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "base/sha256.h"
#include "server/http/ascii.h"

namespace fourfold {
namespace {

constexpr std::string_view kInstead = "[redacted]";
constexpr std::size_t kLeastRemembered = 8;
constexpr std::size_t kMostRemembered = 1000;
constexpr int kMostDecodings = 2;
// Longer ones are no keys, and hashing every part of them would be work for nothing.
constexpr std::size_t kMostWordBytes = 512;

// What ends the value behind "key=".
bool ends_value(char c) {
  return static_cast<unsigned char>(c) <= 0x20 || c == '&' || c == '"' || c == '\'' || c == '<' ||
         c == '>' || c == '#' || c == ';' || c == ',' || c == ')' || c == ']' || c == '}' ||
         c == '\\';
}

// What a key is made of when it stands in a text: letters, digits, and these.
bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~' || c == '+' || c == '/' || c == '=' || c == ':' ||
         c == '!' || c == '$' || c == '*' || c == '@';
}

int hex_digit(char c) {
  c = ascii_lower(c);
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string digest_of(std::string_view text) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(text.data(), text.size())));
  const auto digest = hash.finish();
  return {digest.begin(), digest.end()};
}

std::size_t find_ignoring_case(std::string_view text, std::string_view lower, std::size_t from) {
  const auto found =
      std::search(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(), lower.begin(),
                  lower.end(), [](char a, char b) { return ascii_lower(a) == b; });
  return found == text.end() ? text.npos : static_cast<std::size_t>(found - text.begin());
}

}  // namespace

// A text, and for each of its bytes, and its end, the place in the text that was given.
struct Redactor::View {
  std::string text;
  std::vector<std::size_t> places;

  static View of(std::string_view given) {
    View view{std::string(given), {}};
    for (std::size_t i = 0; i <= given.size(); ++i) view.places.push_back(i);
    return view;
  }

  // Nothing if no byte is percent-encoded.
  std::optional<View> decoded() const {
    View out;
    bool is_encoded = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
      out.places.push_back(places[i]);
      const bool fits = text[i] == '%' && i + 2 < text.size();
      const int high = fits ? hex_digit(text[i + 1]) : -1;
      const int low = fits ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        out.text += text[i];
        continue;
      }
      out.text += static_cast<char>(high * 16 + low);
      is_encoded = true;
      i += 2;
    }
    out.places.push_back(places.back());
    if (!is_encoded) return std::nullopt;
    return out;
  }

  Span span(std::size_t begin, std::size_t end) const { return {places[begin], places[end]}; }
};

void Redactor::set_keys(const std::vector<std::string>& digests) {
  const std::lock_guard lock(mutex_);
  digests_ = {digests.begin(), digests.end()};
}

void Redactor::remember(std::string_view presented) {
  if (presented.size() < kLeastRemembered) return;
  const std::lock_guard lock(mutex_);
  if (std::ranges::find(remembered_, presented) != remembered_.end()) return;
  remembered_.emplace_back(presented);
  if (remembered_.size() > kMostRemembered) remembered_.pop_front();
}

std::string Redactor::redact(std::string_view text) const {
  std::vector<Span> spans;
  {
    const std::lock_guard lock(mutex_);
    std::optional<View> view = View::of(text);
    for (int i = 0; view && i <= kMostDecodings; ++i) {
      find_labelled(*view, spans);
      find_remembered(*view, spans);
      find_configured(*view, spans);
      view = view->decoded();
    }
  }
  std::ranges::sort(spans, {}, &Span::begin);
  std::string out;
  std::size_t done = 0;
  for (const Span& span : spans) {
    if (span.end <= done) continue;
    // Spans that touch are one.
    if (span.begin > done || done == 0) {
      out += text.substr(done, span.begin - done);
      out += kInstead;
    }
    done = span.end;
  }
  out += text.substr(done);
  return out;
}

void Redactor::find_labelled(const View& view, std::vector<Span>& spans) const {
  const std::string_view text = view.text;
  for (const std::string_view label : {"key=", "bearer "}) {
    for (auto at = find_ignoring_case(text, label, 0); at != text.npos;
         at = find_ignoring_case(text, label, at)) {
      at += label.size();
      auto end = at;
      while (end < text.size() && !ends_value(text[end])) ++end;
      if (end > at) spans.push_back(view.span(at, end));
      at = end;
    }
  }
}

void Redactor::find_remembered(const View& view, std::vector<Span>& spans) const {
  for (const auto& key : remembered_) {
    for (auto at = view.text.find(key); at != view.text.npos; at = view.text.find(key, at)) {
      spans.push_back(view.span(at, at + key.size()));
      at += key.size();
    }
  }
}

// A word, or a part of it that begins or ends at a character that keys seldom hold.
void Redactor::find_configured(const View& view, std::vector<Span>& spans) const {
  if (digests_.empty()) return;
  const auto is_border = [](char c) {
    return c == '=' || c == ':' || c == '/' || c == '@' || c == '.' || c == '!';
  };
  const std::string_view text = view.text;
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    if (!is_word_char(text[begin])) continue;
    std::size_t end = begin;
    while (end < text.size() && is_word_char(text[end])) ++end;
    std::vector<std::size_t> begins = {begin}, ends = {end};
    for (std::size_t i = begin; i < end; ++i) {
      if (!is_border(text[i])) continue;
      begins.push_back(i + 1);
      ends.push_back(i);
    }
    constexpr std::size_t kMostBorders = 12;
    begins.resize(std::min(begins.size(), kMostBorders));
    ends.resize(std::min(ends.size(), kMostBorders));
    for (const auto from : begins) {
      for (const auto to : ends) {
        if (to <= from || to - from > kMostWordBytes) continue;
        if (digests_.contains(digest_of(text.substr(from, to - from)))) {
          spans.push_back(view.span(from, to));
        }
      }
    }
    begin = end;
  }
}

}  // namespace fourfold
