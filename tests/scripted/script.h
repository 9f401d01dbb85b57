// What a scripted model says: files of tests/cases/server, one model each.
//
//   {"about": "…",
//    "thought": "…", "answer": "<|tool_call>call:f{}<tool_call|>",
//    "when": [{"prompt_has": "…" or […], "tail_has": …, "thought": …, "answer": …}],
//    "kind": "text", "sees": false, "step_ms": 0, "prefill_ms_per_row": 0, "fail_at": 0,
//    "parallel": 0, "queue": 64, "queue_per_user": 16}
//
// Control tokens are spelled. The first `when` whose texts the prompt holds takes the place of
// thought and answer; its tail is what follows the opener of the newest user turn. A thought is
// said where the prompt asks for thinking.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fourfold::scripted {

struct Lines {
  std::vector<std::string> prompt_has, tail_has;
  std::string thought, answer;
};

struct Script {
  // Text: the answer as written. Echo: the text of the newest user turn. Count: "1 2 3 …" up to
  // `count`. Load: what the newest "number=N" and "tokens=N" of the prompt ask for: that many
  // tokens, the number among every ten of them.
  enum class Kind { Text, Echo, Count, Load };

  std::string name;  // of the file: "parallel-calls"
  Kind kind = Kind::Text;
  Lines otherwise;
  std::vector<Lines> when;
  int count = 0;
  bool sees = false;                // on a body with eyes and ears
  double step_ms = 0.0;             // that a step takes
  double prefill_ms_per_row = 0.0;  // and more for every row of a prompt
  int fail_at = 0;                  // token of the answer, from 1, that cannot be computed; 0: none
  // Settings of the service. Below none, a queue is always full.
  int parallel = 0, queue = 64, queue_per_user = 16;
};

Result<Script> parse_script(std::string name, std::string_view text);
// Every *.json of the folder, by name.
Result<std::vector<Script>> load_scripts(const std::string& folder);

}  // namespace fourfold::scripted
