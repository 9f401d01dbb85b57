// A chat request made ready to run: its prompt, how long its thoughts may be, what its answer is
// held to. The one path of every surface, of the command line and of counting endpoints too.
#pragma once

#include <cstdint>
#include <functional>
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
#include "engine/media_encoder.h"
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

struct FilmsToWatch;  // film_windows.h

// A turn in which a window of a film was seen, as it ran.
struct FilmTurn {
  std::string where;  // of the film's part
  int window = 0, n_windows = 1;
  double from_s = 0.0, to_s = 0.0;
  Prompt prompt;  // its soft rows have no values any more
  std::string notes;
  std::int64_t prompt_tokens = 0, cached_tokens = 0, answer_tokens = 0;
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

  // Of media, in the order of the prompt; what was forgotten is not there.
  std::vector<MediaSeen> media;
  MediaTokens media_tokens;                // of media, tokens of the prompt by modality
  std::vector<MediaSource> media_sources;  // what is encoded before the prompt runs

  // Films that are seen in turns of their own; until then the prompt lacks their notes. Null where
  // there are none.
  std::shared_ptr<const FilmsToWatch> films;
  struct Watched {
    std::vector<FilmTurn> turns;
    std::int64_t prompt_tokens = 0, cached_tokens = 0, answer_tokens = 0;
  };
  Watched watched;  // those turns, and what they cost together
};

struct ChatCapabilities {
  bool chat = true;  // false: a pretrained model, which only continues text
  bool tools = false, thinking = false;
  bool vision = false, audio = false, video = false;
  std::string no_vision, no_audio, no_video;  // why not; empty where it can
};

class ChatPreparer {
 public:
  // `engine` outlives this. FailedPrecondition without a tokenizer.
  static Result<std::unique_ptr<ChatPreparer>> make(const Engine& engine);

  const Tokenizer& tokenizer() const { return tokenizer_; }
  const ChatCapabilities& capabilities() const { return capabilities_; }

  // FailedPrecondition "unsupported_value" for thinking, tools and formats that the model does not
  // know; Unimplemented "unsupported_media", with the field and the reason, for media that it, or
  // this build, cannot take.
  Status check(const Conversation& conversation) const;

  // Errors of check(); ResourceExhausted "context_length_exceeded"; InvalidArgument, for media too.
  // Media are looked at and counted, not encoded. `held`: ids whose spelling the prompt keeps where
  // it can (held_spelling.h). `go_on`, asked while films are looked through: false cancels.
  Result<PreparedChat> prepare(const ChatRequest& request, std::span<const TokenId> held = {},
                               const std::function<bool()>& go_on = {}) const;
  Result<PreparedChat> prepare(const RawRequest& request) const;
  // Of a conversation whose media were looked at, in the order of `looks`.
  Result<PreparedChat> prepare_looked(const ChatRequest& request, std::vector<MediaLook> looks,
                                      std::span<const TokenId> held = {}) const;

  // About how long encode_media takes, films that are seen in turns of their own included; what is
  // cached already counts as nothing.
  double media_seconds(const PreparedChat& prepared, std::int64_t first = 0) const;
  // Computes the rows of the prompt's media from position `first` on; the prompt can run then.
  // Cancelled when go_on says false.
  Status encode_media(const PreparedChat& prepared, const std::function<bool()>& go_on,
                      std::int64_t first = 0) const;

 private:
  ChatPreparer(const Engine& engine, const Tokenizer& tokenizer);

  Result<FittedPrompt> render_prompt(const Conversation& conversation, bool forget_oldest,
                                     std::span<const TokenId> held) const;
  void limit(const SamplingChoice& sampling, PreparedChat& prepared) const;
  Status look_at_media(Conversation& conversation, const std::function<bool()>& go_on,
                       std::vector<MediaLook>& looks) const;
  Status check_media(const std::vector<Message>& messages) const;
  Status check_medium(const Part& part, std::size_t message) const;

  const Engine& engine_;
  const Tokenizer& tokenizer_;
  ChatCapabilities capabilities_;
  std::unique_ptr<ConstraintFactory> constraints_;
};

}  // namespace fourfold
