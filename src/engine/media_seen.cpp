#include "engine/media_seen.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "engine/media_part.h"

namespace fourfold {
namespace {

using Kind = Part::Kind;

std::int64_t total(const MediaTokens& tokens) { return tokens.image + tokens.audio + tokens.video; }

// To a tenth, and no ".0".
std::string seconds(double value) {
  const double tenths = std::round(value * 10.0);
  return std::fmod(tenths, 10.0) == 0.0 ? fmt::format("{:.0f}", tenths / 10.0)
                                        : fmt::format("{:.1f}", tenths / 10.0);
}

// "from 10 to 20 s of 60 s"; a whole medium: "60 s".
std::string span(const MediaSeen& seen) {
  const std::string from = seconds(seen.from_s), to = seconds(seen.to_s),
                    all = seconds(seen.duration_s);
  if (from == "0" && to == all) return fmt::format("{} s", all);
  return fmt::format("from {} to {} s of {} s", from, to, all);
}

std::string describe_picture(const MediaSeen& seen) {
  return fmt::format("{}x{} seen as {}x{}", seen.size.width, seen.size.height, seen.seen_size.width,
                     seen.seen_size.height);
}

std::string describe_film(const MediaSeen& seen) {
  std::string out =
      fmt::format("{} {} ({}", seen.frames, seen.frames == 1 ? "frame" : "frames", name(seen.rule));
  if (seen.rule == FrameRule::Shots) out += fmt::format(", {} shots", seen.shots);
  out += fmt::format(") of {}", span(seen));
  if (seen.frames > 1) out += fmt::format(", at most {} s apart", seconds(seen.largest_gap_s));
  if (seen.sound_s > 0.0) out += fmt::format(", {} s of sound", seconds(seen.sound_s));
  if (seen.windows > 1) out += fmt::format(", in {} windows", seen.windows);
  return out;
}

std::string describe_details(const MediaSeen& seen) {
  switch (seen.kind) {
    case Kind::Image: return describe_picture(seen);
    case Kind::Video: return describe_film(seen);
    default: break;
  }
  std::string out = span(seen);
  if (seconds(seen.sound_s) != seconds(seen.to_s - seen.from_s)) {
    out += fmt::format(", {} s of it heard", seconds(seen.sound_s));
  }
  return out;
}

// What every header may hold, whatever the medium says of itself.
std::string plain_ascii(std::string_view text) {
  std::string plain;
  for (const char c : text) plain += c >= 0x20 && c < 0x7f ? c : '?';
  return plain;
}

JsonValue number(std::int64_t value) { return JsonValue::number(fmt::format("{}", value)); }
JsonValue number(double value) {
  return JsonValue::number(fmt::format("{}", std::round(value * 1e3) / 1e3));
}
JsonValue text(std::string_view value) { return JsonValue::of(std::string(value)); }

JsonValue size_json(PictureSize size) {
  return JsonValue::array({number(std::int64_t{size.width}), number(std::int64_t{size.height})});
}

void add_film(const MediaSeen& seen, JsonValue& json) {
  json.set("frames", number(seen.frames));
  json.set("rule", text(name(seen.rule)));
  json.set("largest_gap_s", number(seen.largest_gap_s));
  json.set("shots", number(std::int64_t{seen.shots}));
  json.set("windows", number(std::int64_t{seen.windows}));
}

}  // namespace

std::string describe(const MediaSeen& seen) {
  std::string out = fmt::format("{}: {}, {} tokens", kind_name(seen.kind), describe_details(seen),
                                total(seen.tokens));
  for (const auto& note : seen.notes) out += fmt::format(", {}", note);
  std::replace(out.begin(), out.end(), ';', ',');
  return out;
}

std::string describe(const std::vector<MediaSeen>& all, std::size_t most_bytes) {
  std::string out;
  for (const auto& seen : all) {
    if (!out.empty()) out += "; ";
    out += plain_ascii(describe(seen));
  }
  if (out.size() > most_bytes) {
    out.resize(most_bytes - 3);
    out += "...";
  }
  return out;
}

JsonValue media_json(const MediaSeen& seen) {
  auto json = JsonValue::object({{"kind", text(kind_name(seen.kind))},
                                 {"where", text(seen.where)},
                                 {"tokens", number(total(seen.tokens))}});
  if (seen.kind != Kind::Audio) {
    json.set("budget", number(std::int64_t{seen.budget}));
    json.set("size", size_json(seen.size));
    json.set("seen_size", size_json(seen.seen_size));
  }
  if (seen.kind == Kind::Video) add_film(seen, json);
  if (seen.kind != Kind::Image) {
    json.set("from_s", number(seen.from_s));
    json.set("to_s", number(seen.to_s));
    json.set("duration_s", number(seen.duration_s));
    json.set("sound_s", number(seen.sound_s));
  }
  auto notes = JsonValue::array();
  for (const auto& note : seen.notes) notes.items.push_back(text(note));
  json.set("notes", std::move(notes));
  json.set("seen", text(describe(seen)));
  return json;
}

JsonValue media_json(const std::vector<MediaSeen>& all) {
  auto list = JsonValue::array();
  for (const auto& seen : all) list.items.push_back(media_json(seen));
  return list;
}

}  // namespace fourfold
