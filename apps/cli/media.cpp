#include "cli/media.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/data_url.h"
#include "base/mapped_file.h"
#include "base/utf8.h"
#include "cli/input.h"
#include "engine/media_part.h"
#include "media/media_type.h"
#include "media/resize.h"

namespace fourfold {
namespace {

using Kind = Part::Kind;

constexpr std::array<std::pair<std::string_view, Kind>, 3> kMediaFlags = {
    {{"--image", Kind::Image}, {"--audio", Kind::Audio}, {"--video", Kind::Video}}};
// Of what is no file that can be mapped.
constexpr std::uint64_t kMostPipedBytes = std::uint64_t{1} << 30;

Kind kind_of_flag(std::string_view flag) {
  for (const auto& [name, kind] : kMediaFlags) {
    if (name == flag) return kind;
  }
  return Kind::Unknown;
}

// False: no flag that says how media are seen.
Result<bool> apply(const std::string& flag, const std::string& value, MediaSettings& settings) {
  constexpr std::int64_t kMost = 1'000'000;
  constexpr double kMostFps = 240.0, kLeastFps = 1e-6;
  if (flag == "--budget") {
    const auto n = TRY(parse_integer(value));
    if (std::ranges::find(kSoftTokenBudgets, n) == kSoftTokenBudgets.end()) {
      return invalid_argument("{} (expected 70, 140, 280, 560 or 1120)", n);
    }
    settings.budget = static_cast<int>(n);
  } else if (flag == "--fps") {
    settings.fps = TRY(parse_number(value, {kLeastFps, kMostFps}));
    settings.n_frames.reset();
  } else if (flag == "--frames") {
    settings.n_frames = static_cast<int>(TRY(parse_integer(value, {1, kMost})));
    settings.fps.reset();
  } else if (flag == "--video-tokens") {
    settings.video_tokens = TRY(parse_integer(value, {1, kMost}));
  } else if (flag == "--sound" || flag == "--no-sound") {
    settings.sound = (flag == "--sound") == (value != "false");
  } else {
    return false;
  }
  return true;
}

// What a settings file says gives way to a flag, from the beginning of the command line on.
void forget(const std::string& flag, MediaSettings& settings) {
  if (flag == "--budget") settings.budget.reset();
  if (flag == "--fps" || flag == "--frames") {
    settings.fps.reset();
    settings.n_frames.reset();
  }
  if (flag == "--video-tokens") settings.video_tokens.reset();
  if (flag == "--sound" || flag == "--no-sound") settings.sound.reset();
}

// Words that follow each other are one text.
class TurnWriter {
 public:
  void add_word(const std::string& word) { add_text(word, ' '); }

  void add_text(std::string_view text, char between) {
    if (message_.parts.empty() || message_.parts.back().kind != Kind::Text) {
      Part part;
      part.text = std::string(text);
      message_.parts.push_back(std::move(part));
      return;
    }
    std::string& last = message_.parts.back().text;
    if (!last.empty() && !text.empty()) last += between;
    last += text;
  }

  void add(Part part) {
    message_.parts.push_back(std::move(part));
    message_.is_part_list = true;
  }

  Message take() {
    if (message_.is_part_list) {
      std::erase_if(message_.parts, [](const Part& part) {
        return part.kind == Kind::Text && trim(part.text).empty();
      });
    }
    return std::move(message_);
  }

 private:
  Message message_ = {.role = Role::User, .role_name = {}, .parts = {}};
};

// ---- dropped files ----

constexpr std::string_view kFileScheme = "file://";

struct Token {
  std::size_t begin = 0, end = 0;  // in the line
  std::string text;                // without quotes and backslashes
};

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }

// What a shell would take as one word.
Token next_token(std::string_view line, std::size_t at) {
  Token token;
  while (at < line.size() && is_blank(line[at])) ++at;
  token.begin = at;
  const char quote = at < line.size() && (line[at] == '\'' || line[at] == '"') ? line[at] : '\0';
  const auto closing = quote ? line.find(quote, at + 1) : line.npos;
  if (closing != line.npos) {
    token.text = std::string(line.substr(at + 1, closing - at - 1));
    token.end = closing + 1;
    return token;
  }
  for (; at < line.size() && !is_blank(line[at]); ++at) {
    if (line[at] == '\\' && at + 1 < line.size()) ++at;
    token.text += line[at];
  }
  token.end = at;
  return token;
}

// The path that a word names; empty if it names none.
std::string path_of(std::string_view word) {
  if (word.starts_with(kFileScheme)) {
    auto path = percent_decoded(word.substr(kFileScheme.size()));
    if (!path.ok()) return "";
    if (path->starts_with("localhost/")) path->erase(0, std::string_view("localhost").size());
    return path->starts_with('/') ? *path : "";
  }
  if (word.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    return home ? home + std::string(word.substr(1)) : "";
  }
  return word.find('/') == word.npos ? "" : std::string(word);
}

bool is_media_file(const std::string& path) {
  std::error_code ignored;
  if (path.empty() || !std::filesystem::is_regular_file(path, ignored)) return false;
  const auto file = MappedFile::open(path);
  return file.ok() && find_media_type(SharedBytes(*file).text()).has_value();
}

}  // namespace

void add_media_flags(CLI::App& command, MediaSettings& settings) {
  const auto checked = [&settings](std::string name) {
    return [&settings, name = std::move(name)](const std::string& value) -> Status {
      TRY(apply(name, value, settings));
      return {};
    };
  };
  const auto nothing = [](const std::string&) -> Status { return {}; };
  add_value_flag(command, {"--image", "FILE", "a picture, in its place", kOwnGroup, true}, nothing);
  add_value_flag(command, {"--audio", "FILE", "a sound", kOwnGroup, true}, nothing);
  add_value_flag(command, {"--video", "FILE", "a film", kOwnGroup, true}, nothing);
  const auto for_those_behind = [&](const char* name, const char* value, const char* help) {
    add_value_flag(command, {name, value, help, kOwnGroup, true}, checked(name));
  };
  for_those_behind("--budget", "N",
                   "soft tokens of each picture or frame after it (280, frames 70)");
  for_those_behind("--fps", "X", "frames a second of each film after it (32 in all, or shots)");
  for_those_behind("--frames", "N", "frames in all, instead");
  for_those_behind("--video-tokens", "N", "of all frames where shots are chosen (8192)");
  for (const auto* name : {"--sound", "--no-sound"}) {
    const bool is_on = std::string_view(name) == "--sound";
    add_optional_value_flag(command,
                            {name, "",
                             is_on ? "films after it are heard too (only those beyond a minute)"
                                   : "films after it are not heard",
                             kOwnGroup, true},
                            checked(name));
  }
}

Result<Message> read_user_turn(const std::vector<GivenArgument>& arguments, bool reads_pipe,
                               MediaSettings& settings, Context& context) {
  for (const auto& argument : arguments) forget(argument.name, settings);
  TurnWriter turn;
  std::string rate_flag;  // --fps or --frames, for which no film has come yet
  for (const auto& [name, value] : arguments) {
    if (name == "prompt") {
      turn.add_word(value);
      continue;
    }
    if (name == "--fps" || name == "--frames") {
      if (!rate_flag.empty() && rate_flag != name) {
        return invalid_argument("{}: does not go together with {} (expected one of them)", name,
                                rate_flag);
      }
      rate_flag = name;
    }
    TRY_IN(name, apply(name, value, settings));
    const Kind kind = kind_of_flag(name);
    if (kind == Kind::Unknown) continue;
    Part part = TRY(open_medium(value, fmt::format("{} {}", name, value), kind, context));
    part.settings = settings;
    if (kind == Kind::Video) rate_flag.clear();
    turn.add(std::move(part));
  }
  if (reads_pipe && !stdin_is_terminal()) {
    const auto piped = TRY(read_stdin("a prompt", context));
    if (!piped.empty()) turn.add_text(piped, '\n');
  }
  return turn.take();
}

bool has_media(const Message& message) {
  return std::ranges::any_of(message.parts,
                             [](const Part& part) { return part.kind != Kind::Text; });
}

Result<Part> open_medium(const std::string& path, std::string where, Kind expected,
                         Context& context) {
  std::error_code ignored;
  const auto type = std::filesystem::status(path, ignored).type();
  if (path == "-" || type == std::filesystem::file_type::fifo) {
    auto bytes = TRY(read_text(path, "a medium", context, kMostPipedBytes));
    return make_media_part(std::move(bytes), std::move(where), expected);
  }
  return make_media_part(TRY(MappedFile::open(path)), std::move(where), expected);
}

Result<std::optional<DroppedLine>> find_dropped_media(std::string_view line,
                                                      const MediaSettings& settings,
                                                      Context& context) {
  DroppedLine dropped;
  TurnWriter turn;
  std::size_t text_begin = 0;
  for (std::size_t at = 0; at < line.size();) {
    const Token token = next_token(line, at);
    at = token.end;
    const std::string path = path_of(token.text);
    if (!is_media_file(path)) continue;
    turn.add_text(trim(line.substr(text_begin, token.begin - text_begin)), ' ');
    text_begin = token.end;
    Part part = TRY(open_medium(path, path, Kind::Unknown, context));
    part.settings = settings;
    turn.add(std::move(part));
    dropped.files.push_back(path);
  }
  if (dropped.files.empty()) return std::optional<DroppedLine>();
  turn.add_text(trim(line.substr(text_begin)), ' ');
  dropped.message = turn.take();
  return std::optional(std::move(dropped));
}

Result<SharedBytes> read_media_source(const std::string& source, Context& context) {
  if (is_data_url(source)) {
    auto data = TRY(parse_data_url(source));
    return SharedBytes(std::move(data.bytes));
  }
  const bool is_address = source.find("://") != source.npos;
  if (is_address && !source.starts_with(kFileScheme)) {
    return invalid_argument("{}: addresses are not fetched (expected a data: URL or a path)",
                            printable(source, 80));
  }
  const std::string path = is_address ? path_of(source) : source;
  const Part part = TRY(open_medium(path, path, Kind::Unknown, context));
  return part.bytes;
}

}  // namespace fourfold
