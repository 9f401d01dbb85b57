// A chat request made ready to run: its prompt, how long its thoughts may be, what its answer is
// held to. The one path of every surface, of the command line and of counting endpoints too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "chat/conversation.h"
#include "chat/fit_prompt.h"
#include "chat/output_machine.h"
#include "chat/prompt.h"
#include "engine/engine.h"
#include "engine/sampling_choice.h"
#include "grammar/constraint.h"

namespace fourfold {

struct ChatRequest {
  Conversation conversation;
  SamplingChoice sampling;
  int n_candidates = 1;        // candidate i draws with seed + i
  bool forget_oldest = false;  // what does not fit; otherwise a prompt that is too long is refused
  bool enforce = true;         // false: tools and response format are asked for and not enforced
};

// Text that is continued, without a chat around it.
struct RawRequest {
  std::string text;          // control strings in it count if `trusted`; ignored with `ids`
  std::vector<TokenId> ids;  // taken as they are
  bool trusted = false;
  bool add_bos = true;       // unless the ids begin with it
  bool hide_control = true;  // control pieces add nothing to the text
  SamplingChoice sampling;
  int n_candidates = 1;
};

// A request that is ready to run.
struct PreparedChat {
  Prompt prompt;
  bool is_raw = false;
  bool hide_control = true;    // of raw text
  bool thinks = false;         // thoughts were asked for, and there is room
  OutputMachineOptions rules;  // of a chat
  SampleOptions sampling;
  std::int64_t max_tokens = 0;    // the limit asked for, clipped to what the context leaves
  bool limit_is_context = false;  // the context is what would end the answer
  int n_candidates = 1;
  std::vector<std::string> stop;  // of raw text; those of a chat are in the rules
  std::vector<TokenId> stop_ids;
  std::vector<std::int64_t> branch_points;  // see SequenceRequest
  FittedPrompt forgotten;                   // how much was; without its prompt
  std::vector<std::string> warnings;        // what was asked for and is not done
};

struct ChatCapabilities {
  bool chat = true;  // false: a pretrained model, which only continues text
  bool tools = false, thinking = false;
  bool vision = false, audio = false, video = false;
};

class ChatPreparer {
 public:
  // `engine` outlives this. FailedPrecondition without a tokenizer.
  static Result<std::unique_ptr<ChatPreparer>> make(const Engine& engine);

  const Tokenizer& tokenizer() const { return tokenizer_; }
  const ChatCapabilities& capabilities() const { return capabilities_; }

  // FailedPrecondition "unsupported_value" for thinking, tools and formats that the model does not
  // know; Unimplemented "unsupported_media", with the field, for media.
  Status check(const Conversation& conversation) const;

  // Errors of check(); ResourceExhausted "context_length_exceeded"; InvalidArgument. `held`: ids
  // whose spelling the prompt keeps where it can (held_spelling.h).
  Result<PreparedChat> prepare(const ChatRequest& request,
                               std::span<const TokenId> held = {}) const;
  Result<PreparedChat> prepare(const RawRequest& request) const;

 private:
  ChatPreparer(const Engine& engine, const Tokenizer& tokenizer);

  Result<FittedPrompt> render_prompt(const Conversation& conversation, bool forget_oldest,
                                     std::span<const TokenId> held) const;
  void limit(const SamplingChoice& sampling, PreparedChat& prepared) const;

  const Engine& engine_;
  const Tokenizer& tokenizer_;
  ChatCapabilities capabilities_;
  std::unique_ptr<ConstraintFactory> constraints_;
};

}  // namespace fourfold
