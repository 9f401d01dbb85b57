#include "scripted/scripted_model.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <thread>
#include <utility>

#include "tokenizer/detokenizer.h"

namespace fourfold::scripted {
namespace {

// Far enough apart that a draw at temperature 1 takes the highest of those allowed.
constexpr float kWanted = 120.0f;
constexpr float kBeginning = 100.0f;
constexpr float kEnd = 80.0f;
constexpr float kApart = 12.0f;
constexpr float kOther = -20.0f;
constexpr float kBlank = -60.0f;  // a grammar may allow any number of them

constexpr std::size_t kMostSpeeches = 1000;

bool holds_all(std::string_view text, const std::vector<std::string>& words) {
  return std::ranges::all_of(words,
                             [&](const std::string& word) { return text.find(word) != text.npos; });
}

// What follows the opener of the newest user turn; all of a prompt without one.
std::string_view tail_of(std::string_view prompt) {
  constexpr std::string_view opener = "<|turn>user\n";
  const auto at = prompt.rfind(opener);
  return at == prompt.npos ? prompt : prompt.substr(at + opener.size());
}

const Lines& choose_lines(const Script& script, std::string_view prompt) {
  for (const auto& lines : script.when) {
    if (holds_all(prompt, lines.prompt_has) && holds_all(tail_of(prompt), lines.tail_has)) {
      return lines;
    }
  }
  return script.otherwise;
}

std::string count_to(int n) {
  std::string text;
  for (int i = 1; i <= n; ++i) {
    if (i > 1) text += ' ';
    text += std::to_string(i);
  }
  return text;
}

// The digits behind the last `key` in the prompt.
std::string digits_behind(std::string_view prompt, std::string_view key) {
  const auto at = prompt.rfind(key);
  if (at == prompt.npos) return "";
  const auto rest = prompt.substr(at + key.size());
  return std::string(rest.substr(0, std::min(rest.find_first_not_of("0123456789"), rest.size())));
}

// The number at the beginning of every ten tokens, words between.
std::vector<TokenId> load_ids(const Tokenizer& tokenizer, std::string_view prompt) {
  const std::string number = digits_behind(prompt, "number=");
  const auto n_tokens =
      static_cast<std::size_t>(std::atoi(digits_behind(prompt, "tokens=").c_str()));
  const auto number_ids = tokenizer.encode(number, Trust::Untrusted);
  std::vector<TokenId> words;
  for (const char* word : {" leaf", " stem", " root", " soil", " sun", " rain", " pot"}) {
    const auto ids = tokenizer.encode(word, Trust::Untrusted);
    words.insert(words.end(), ids.begin(), ids.end());
  }
  std::vector<TokenId> ids;
  for (std::size_t ten = 0; ids.size() < n_tokens; ++ten) {
    ids.insert(ids.end(), number_ids.begin(), number_ids.end());
    // Never the same again soon, or the loop detector would end the answer.
    for (std::size_t i = 0; ids.size() % 10 != 0; ++i) {
      ids.push_back(words[(ten * (i + 3) + i + ten / 7) % words.size()]);
    }
  }
  ids.resize(n_tokens);
  return ids;
}

bool begins_with(std::span<const TokenId> ids, std::span<const TokenId> beginning) {
  return beginning.size() <= ids.size() &&
         std::ranges::equal(ids.first(beginning.size()), beginning);
}

std::vector<TokenId> behind(std::span<const TokenId> ids, std::size_t n) {
  return {ids.begin() + static_cast<std::ptrdiff_t>(n), ids.end()};
}

// The ids from the last `id` on; empty without one.
std::span<const TokenId> from_last(std::span<const TokenId> ids, TokenId id) {
  for (std::size_t n = ids.size(); n > 0; --n) {
    if (ids[n - 1] == id) return ids.subspan(n - 1);
  }
  return {};
}

// Whether JSON text, or a call with its own quotes, stands inside a string.
bool is_in_string(std::string_view text, bool is_call) {
  bool inside = false;
  constexpr std::string_view quote = "<|\"|>";
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_call) {
      if (text.substr(i).starts_with(quote)) inside = !inside;
    } else if (inside && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      inside = !inside;
    }
  }
  return inside;
}

void sleep_ms(double ms) {
  if (ms > 0.0) std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms));
}

}  // namespace

ScriptedModel::ScriptedModel(const Tokenizer& tokenizer, Script script)
    : tokenizer_(tokenizer), script_(std::move(script)) {
  plain_.assign(static_cast<std::size_t>(vocab_size()), kOther);
  for (TokenId id = 0; id < vocab_size(); ++id) {
    const auto bytes = tokenizer_.bytes(id);
    if (bytes.find_first_not_of(" \t\r\n") == bytes.npos) {
      plain_[static_cast<std::size_t>(id)] = kBlank;
    }
  }
}

Result<MatView> ScriptedModel::step(std::span<const StepSegment> segments) {
  std::size_t n_wanted = 0;
  std::int64_t n_prefill = 0;
  for (const auto& segment : segments) {
    n_wanted += segment.rows.wanted.size();
    const auto n_rows = static_cast<std::int64_t>(segment.rows.ids.size());
    n_prefill += std::clamp(segment.n_prompt - segment.rows.position, std::int64_t{0}, n_rows);
  }
  sleep_ms(script_.step_ms + script_.prefill_ms_per_row * static_cast<double>(n_prefill));

  const auto width = static_cast<std::size_t>(vocab_size());
  logits_.resize(n_wanted * width);
  std::size_t row = 0;
  for (const auto& segment : segments) {
    for (const std::int32_t wanted : segment.rows.wanted) {
      const auto n_ids = static_cast<std::size_t>(segment.rows.position + wanted + 1);
      write_logits(segment.ids.first(n_ids), segment.n_prompt,
                   std::span(logits_).subspan(row++ * width, width));
    }
  }
  return MatView{logits_.data(), static_cast<std::int64_t>(n_wanted), vocab_size(), vocab_size()};
}

void ScriptedModel::write_logits(std::span<const TokenId> ids, std::int64_t n_prompt,
                                 std::span<float> out) {
  const auto n_before = std::min(ids.size(), static_cast<std::size_t>(n_prompt));
  const auto said = ids.subspan(n_before);
  if (script_.fail_at > 0 && said.size() + 1 >= static_cast<std::size_t>(script_.fail_at)) {
    std::ranges::fill(out, std::numeric_limits<float>::quiet_NaN());
    return;
  }
  std::ranges::copy(plain_, out.begin());
  add_ends(said, out);
  add_wanted(rest_of(speech_behind(ids.first(n_before)), said), out);
}

const Speech& ScriptedModel::speech_behind(std::span<const TokenId> prompt) {
  const auto bytes = std::as_bytes(prompt);
  std::string key(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const auto found = speeches_.find(key); found != speeches_.end()) return found->second;
  if (speeches_.size() >= kMostSpeeches) speeches_.clear();
  return speeches_.emplace(std::move(key), make_speech(prompt)).first->second;
}

Speech ScriptedModel::make_speech(std::span<const TokenId> prompt) const {
  const std::string text = decode(tokenizer_, prompt);
  const auto& lines = choose_lines(script_, text);
  Speech speech;
  switch (script_.kind) {
    case Script::Kind::Text: speech.answer = lines.answer; break;
    case Script::Kind::Echo: {
      const auto tail = tail_of(text);
      speech.answer = std::string(tail.substr(0, tail.find("<turn|>")));
      break;
    }
    case Script::Kind::Count: speech.answer = count_to(script_.count); break;
    case Script::Kind::Load: break;
  }
  // An echo must not turn what the user spelled into control tokens.
  const Trust trust = script_.kind == Script::Kind::Echo ? Trust::Untrusted : Trust::Trusted;
  speech.answer_ids = script_.kind == Script::Kind::Load ? load_ids(tokenizer_, text)
                                                         : tokenizer_.encode(speech.answer, trust);

  const bool thinks = std::ranges::find(prompt, tokenizer_.control().think) != prompt.end();
  const bool is_open = text.ends_with("<|channel>thought\n");
  std::string thought;
  if (is_open || (thinks && !lines.thought.empty())) {
    thought = (is_open ? "" : "<|channel>thought\n") + lines.thought + "<channel|>";
  }
  speech.ids = tokenizer_.encode(thought, Trust::Trusted);
  speech.ids.insert(speech.ids.end(), speech.answer_ids.begin(), speech.answer_ids.end());
  return speech;
}

std::vector<TokenId> ScriptedModel::rest_of(const Speech& speech,
                                            std::span<const TokenId> said) const {
  if (begins_with(speech.ids, said)) return behind(speech.ids, said.size());
  // The thought went another way (its end was forced, say): the answer still can be as written.
  const auto answer = from_last(said, tokenizer_.control().channel_close);
  if (!answer.empty()) said = answer.subspan(1);
  if (begins_with(speech.answer_ids, said)) return behind(speech.answer_ids, said.size());
  const std::string text = decode(tokenizer_, said);
  if (!std::string_view(speech.answer).starts_with(text)) return {};
  return tokenizer_.encode(speech.answer.substr(text.size()), Trust::Trusted);
}

void ScriptedModel::add_ends(std::span<const TokenId> said, std::span<float> out) const {
  const auto& control = tokenizer_.control();
  const auto call = from_last(said, control.tool_call_open);
  const bool is_call = !call.empty() && from_last(call, control.tool_call_close).empty();
  const auto answer = from_last(said, control.channel_close);
  const std::string text = decode(tokenizer_, is_call ? call : answer.empty() ? said : answer);

  float logit = kEnd;
  const auto next = [&](std::string_view piece) {
    raise(piece, std::exchange(logit, logit - kApart), out);
  };
  for (const char* piece : {"<turn|>", "<channel|>", "<tool_call|>"}) raise(piece, logit, out);
  logit -= kApart;
  if (is_in_string(text, is_call)) next(is_call ? "<|\"|>" : "\"");
  for (const char* piece : {"}", "]", "0", "\"", "<|\"|>", ","}) next(piece);
}

void ScriptedModel::add_wanted(std::span<const TokenId> rest, std::span<float> out) const {
  const TokenId wanted = rest.empty() ? tokenizer_.control().turn_close : rest.front();
  if (!rest.empty()) {
    const auto bytes = tokenizer_.bytes(wanted);
    for (std::size_t n = 1; n < bytes.size(); ++n) {
      raise(bytes.substr(0, n), kBeginning + static_cast<float>(n) / 16.0f, out);
    }
  }
  if (tokenizer_.is_valid(wanted)) out[static_cast<std::size_t>(wanted)] = kWanted;
}

void ScriptedModel::raise(std::string_view piece, float logit, std::span<float> out) const {
  std::string spelled;  // in the vocabulary blanks are written so
  for (const char c : piece) spelled += c == ' ' ? "▁" : std::string(1, c);
  const TokenId id = tokenizer_.find_piece(spelled);
  if (!tokenizer_.is_valid(id)) return;
  auto& place = out[static_cast<std::size_t>(id)];
  place = std::max(place, logit);
}

}  // namespace fourfold::scripted
