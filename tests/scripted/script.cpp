#include "scripted/script.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "base/json_value.h"

namespace fourfold::scripted {
namespace {

std::optional<Script::Kind> find_kind(std::string_view name) {
  if (name == "text") return Script::Kind::Text;
  if (name == "echo") return Script::Kind::Echo;
  if (name == "count") return Script::Kind::Count;
  if (name == "load") return Script::Kind::Load;
  return std::nullopt;
}

Result<std::vector<std::string>> read_texts(const JsonValue& value) {
  if (value.is_string()) return std::vector<std::string>{value.text};
  std::vector<std::string> texts;
  for (const auto& item : value.items) {
    if (!item.is_string()) return invalid_argument("{}, expected a string", item.kind_name());
    texts.push_back(item.text);
  }
  if (texts.empty()) return invalid_argument("{}, expected texts", value.kind_name());
  return texts;
}

// A key of Lines; false for others.
Result<bool> read_line(const JsonMember& member, Lines& lines) {
  if (member.key == "thought" || member.key == "answer") {
    if (!member.value.is_string()) return invalid_argument("expected a string");
    (member.key == "thought" ? lines.thought : lines.answer) = member.value.text;
    return true;
  }
  if (member.key != "prompt_has" && member.key != "tail_has") return false;
  (member.key == "prompt_has" ? lines.prompt_has : lines.tail_has) = TRY(read_texts(member.value));
  return true;
}

Result<Lines> read_lines(const JsonValue& value) {
  Lines lines;
  for (const auto& member : value.members) {
    if (!TRY_IN(member.key, read_line(member, lines))) {
      return invalid_argument("{}: not a key of `when`", member.key);
    }
  }
  return lines;
}

Status read_number(const JsonMember& member, Script& script) {
  if (!member.value.is_number()) return invalid_argument("expected a number");
  const double number = std::strtod(member.value.text.c_str(), nullptr);
  const std::pair<std::string_view, int*> integers[] = {{"count", &script.count},
                                                        {"fail_at", &script.fail_at},
                                                        {"parallel", &script.parallel},
                                                        {"queue", &script.queue},
                                                        {"queue_per_user", &script.queue_per_user}};
  for (const auto& [key, place] : integers) {
    if (member.key != key) continue;
    *place = static_cast<int>(number);
    return {};
  }
  if (member.key == "step_ms") {
    script.step_ms = number;
  } else if (member.key == "prefill_ms_per_row") {
    script.prefill_ms_per_row = number;
  } else {
    return invalid_argument("not a key of scripts");
  }
  return {};
}

Status read_member(const JsonMember& member, Script& script) {
  if (member.key == "about") return {};
  if (member.key == "kind") {
    const auto kind = find_kind(member.value.text);
    if (!kind)
      return invalid_argument("\"{}\", expected text, echo, count or load", member.value.text);
    script.kind = *kind;
    return {};
  }
  if (member.key == "sees") {
    if (!member.value.is_bool()) return invalid_argument("expected true or false");
    script.sees = member.value.boolean;
    return {};
  }
  if (member.key == "when") {
    for (const auto& item : member.value.items) script.when.push_back(TRY(read_lines(item)));
    return {};
  }
  if (TRY(read_line(member, script.otherwise))) return {};
  return read_number(member, script);
}

}  // namespace

Result<Script> parse_script(std::string name, std::string_view text) {
  const auto json = TRY_IN(name, parse_json_value(text));
  if (!json.is_object()) return invalid_argument("{}: expected an object", name);
  Script script;
  for (const auto& member : json.members) {
    TRY_IN(name + ": " + member.key, read_member(member, script));
  }
  script.name = std::move(name);
  return script;
}

Result<std::vector<Script>> load_scripts(const std::string& folder) {
  std::vector<Script> scripts;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    scripts.push_back(TRY(parse_script(entry.path().stem().string(), text)));
  }
  if (scripts.empty()) return not_found("{}: no scripts", folder);
  std::ranges::sort(scripts, {}, &Script::name);
  return scripts;
}

}  // namespace fourfold::scripted
