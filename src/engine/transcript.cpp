#include "engine/transcript.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/letter_case.h"
#include "base/utf8.h"
#include "chat/conversation.h"

namespace fourfold {
namespace {

constexpr std::size_t kJoinedWords = 12;
constexpr std::size_t kLeastRun = 2;

struct Word {
  std::size_t begin = 0, end = 0;  // bytes of the text, with what punctuates it
  std::string key;                 // letters and digits in lower case
};

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// Letters and digits of a word. Beyond ASCII everything counts but the signs that punctuate.
std::string key_of(std::string_view word) {
  const auto is_sign = [](std::string_view sequence) {
    if (sequence.size() == 1) {
      const char c = sequence[0];
      return !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
    }
    // U+0080 to U+00BF; U+2000 to U+206F (dashes, quotes, dots); U+3000 to U+303F.
    return sequence[0] == '\xC2' || sequence.starts_with("\xE2\x80") ||
           sequence.starts_with("\xE2\x81") || sequence.starts_with("\xE3\x80");
  };
  std::string key;
  while (!word.empty()) {
    const auto length = std::max<std::size_t>(utf8_sequence_length(word), 1);
    if (!is_sign(word.substr(0, length))) key += word.substr(0, length);
    word.remove_prefix(length);
  }
  return to_lower(key);
}

// What is nothing but signs is no word.
std::vector<Word> words_of(std::string_view text) {
  std::vector<Word> words;
  for (std::size_t at = 0; at < text.size();) {
    if (is_space(text[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && !is_space(text[end])) ++end;
    auto key = key_of(text.substr(at, end - at));
    if (!key.empty()) words.push_back({.begin = at, .end = end, .key = std::move(key)});
    at = end;
  }
  return words;
}

struct Run {
  std::size_t first = 0, second = 0;  // word of each text where it begins
  std::size_t length = 0;
};

// The longest run of equal words; the first one of the earlier text on a tie.
Run longest_run(const std::vector<Word>& earlier, const std::vector<Word>& later) {
  const std::size_t begin = earlier.size() - std::min(earlier.size(), kJoinedWords);
  const std::size_t end = std::min(later.size(), kJoinedWords);
  Run longest;
  for (std::size_t i = begin; i < earlier.size(); ++i) {
    for (std::size_t j = 0; j < end; ++j) {
      std::size_t n = 0;
      while (i + n < earlier.size() && j + n < end && earlier[i + n].key == later[j + n].key) ++n;
      if (n > longest.length) longest = {.first = i, .second = j, .length = n};
    }
  }
  return longest;
}

// A subtitle ends at an empty line, so there must be none in it.
std::string subtitle_text(std::string_view text) {
  std::string out;
  for (const char c : trim(text)) {
    if (c == '\r' || (c == '\n' && out.ends_with('\n'))) continue;
    out += c;
  }
  return out;
}

std::string vtt_text(std::string_view text) {
  std::string out;
  for (const char c : subtitle_text(text)) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

JsonValue seconds_json(double seconds) { return JsonValue::number(fmt::format("{:.3f}", seconds)); }

}  // namespace

void TranscriptJoiner::add(std::string_view text, bool overlaps) {
  before_last_ = std::move(last_);
  last_ = trim(text);
  if (!overlaps) return;
  const auto earlier = words_of(before_last_);
  const auto later = words_of(last_);
  const Run run = longest_run(earlier, later);
  if (run.length < kLeastRun) return;
  before_last_.resize(earlier[run.first + run.length - 1].end);
  last_.erase(0, later[run.second + run.length - 1].end);
  last_ = std::string(trim(last_));
}

std::string subtitle_time(double seconds, char point) {
  const auto ms = static_cast<std::int64_t>(std::llround(seconds * 1000.0));
  return fmt::format("{:02}:{:02}:{:02}{}{:03}", ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60,
                     point, ms % 1000);
}

std::string to_srt(const std::vector<TranscriptSegment>& segments) {
  std::string out;
  int number = 0;
  for (const auto& segment : segments) {
    const auto text = subtitle_text(segment.text);
    if (text.empty()) continue;
    out += fmt::format("{}\n{} --> {}\n{}\n\n", ++number, subtitle_time(segment.start_s, ','),
                       subtitle_time(segment.end_s, ','), text);
  }
  return out;
}

std::string to_vtt(const std::vector<TranscriptSegment>& segments) {
  std::string out = "WEBVTT\n\n";
  for (const auto& segment : segments) {
    const auto text = vtt_text(segment.text);
    if (text.empty()) continue;
    out += fmt::format("{} --> {}\n{}\n\n", subtitle_time(segment.start_s, '.'),
                       subtitle_time(segment.end_s, '.'), text);
  }
  return out;
}

JsonValue verbose_transcript(const Transcript& transcript, std::string_view language) {
  auto segments = JsonValue::array();
  for (const auto& segment : transcript.segments) {
    auto one = JsonValue::object();
    one.set("id", JsonValue::number(fmt::format("{}", segments.items.size())));
    one.set("start", seconds_json(segment.start_s));
    one.set("end", seconds_json(segment.end_s));
    one.set("text", JsonValue::of(segment.text));
    one.set("finish",
            JsonValue::of(std::string(segment.is_silent ? "silent" : name(segment.finish))));
    segments.items.push_back(std::move(one));
  }
  auto out = JsonValue::object();
  out.set("task", JsonValue::of("transcribe"));
  out.set("language", JsonValue::of(std::string(language)));
  out.set("duration", seconds_json(transcript.duration_s));
  out.set("text", JsonValue::of(transcript.text));
  out.set("segments", std::move(segments));
  return out;
}

}  // namespace fourfold
