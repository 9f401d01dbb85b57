// A model whose logits spell a script. It stands where the decoder would, below the scheduler, the
// sampler and the output machine, which are the real ones.
//
//   options.step_model = [&](Engine& engine) {
//     return std::make_unique<ScriptedModel>(*tokenizer, script);
//   };
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/step_model.h"
#include "scripted/script.h"
#include "tokenizer/tokenizer.h"

namespace fourfold::scripted {

// What is said behind a prompt.
struct Speech {
  std::vector<TokenId> ids;  // thought and answer
  std::string answer;        // without the thought; empty where it is made of ids (Load)
  std::vector<TokenId> answer_ids;
};

class ScriptedModel final : public StepModel {
 public:
  // `tokenizer` outlives this.
  ScriptedModel(const Tokenizer& tokenizer, Script script);

  int vocab_size() const override { return tokenizer_.vocab_size(); }
  Result<MatView> step(std::span<const StepSegment> segments) override;

  // The logits behind these ids. A mask may forbid what the script wants; the others are then in
  // this order: the beginning of what is wanted, the shortest end of what has been begun, the rest.
  void write_logits(std::span<const TokenId> ids, std::int64_t n_prompt, std::span<float> out);

 private:
  const Speech& speech_behind(std::span<const TokenId> prompt);
  Speech make_speech(std::span<const TokenId> prompt) const;
  // Ids of the script from where the answer stands; empty at its end and where it went elsewhere.
  std::vector<TokenId> rest_of(const Speech& speech, std::span<const TokenId> said) const;
  void add_ends(std::span<const TokenId> said, std::span<float> out) const;
  void add_wanted(std::span<const TokenId> rest, std::span<float> out) const;
  void raise(std::string_view piece, float logit, std::span<float> out) const;

  const Tokenizer& tokenizer_;
  Script script_;
  std::vector<float> plain_;                          // [V] where nothing is wanted
  std::vector<float> logits_;                         // [n_wanted, V]
  std::unordered_map<std::string, Speech> speeches_;  // by the bytes of the prompt's ids
};

}  // namespace fourfold::scripted
