#include "cli/tools.h"

#include <algorithm>
#include <chrono>

#include "base/utf8.h"
#include "chat/request_json.h"
#include "cli/input.h"
#include "cli/shell_process.h"
#include "cli/signals.h"

namespace fourfold {
namespace {

constexpr std::size_t kMostError = 2000;

// Malformed bytes become U+FFFD.
std::string as_utf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const std::size_t size = utf8_sequence_length(bytes);
    text += size == 0 ? std::string_view("\uFFFD") : bytes.substr(0, size);
    bytes.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return text;
}

// As the shell's $(…).
std::string_view without_last_newlines(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

JsonValue error_result(std::string what) {
  return JsonValue::object({{"error", JsonValue::of(std::move(what))}});
}

JsonValue result_of(const std::string& output) {
  const std::string text = as_utf8(without_last_newlines(output));
  auto json = parse_json_value(text);
  return json.ok() ? std::move(*json) : JsonValue::of(text);
}

JsonValue failure(int status, std::string_view error) {
  error = without_last_newlines(error);
  error.remove_prefix(error.size() - std::min(error.size(), kMostError));
  return error_result(error.empty() ? fmt::format("exit status {}", status) : as_utf8(error));
}

// Bare functions get their wrapping.
Result<Tool> read_one_tool(const JsonValue& entry) {
  if (entry.find("function")) return read_tool(entry);
  return read_tool(JsonValue::object({{"type", JsonValue::of("function")}, {"function", entry}}));
}

}  // namespace

Result<std::vector<Tool>> read_tools(const JsonValue& list) {
  if (!list.is_array()) return invalid_argument("tools: expected a list of functions");
  std::vector<Tool> tools;
  for (const auto& entry : list.items) {
    const auto where = fmt::format("tools[{}]", tools.size());
    tools.push_back(TRY_IN(where, read_one_tool(entry)));
  }
  return tools;
}

Result<std::vector<Tool>> load_tools(const std::string& path, Context& context) {
  const auto text = TRY(read_text(path, "tools", context));
  const auto list = TRY_IN(path, parse_json_value(text));
  return TRY_IN(path, read_tools(list));
}

JsonValue run_tool(const ToolCommand& command, const ToolCall& call) {
  auto started = ShellProcess::start(command.shell);
  if (!started.ok()) return error_result(started.error().message);
  const auto input = to_json_text(JsonValue::object(
                         {{"name", JsonValue::of(call.name)}, {"arguments", call.arguments}})) +
                     '\n';
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(command.timeout_s);
  const bool ended = started->communicate(
      input, [&] { return std::chrono::steady_clock::now() < deadline && !is_interrupted(); });
  const int status = started->wait();
  if (!ended && is_interrupted()) return error_result("interrupted");
  if (!ended) return error_result(fmt::format("no result within {} s", command.timeout_s));
  return status == 0 ? result_of(started->output) : failure(status, started->error);
}

}  // namespace fourfold
