// The control pieces of the Gemma families, found by their strings: ids differ between bodies and
// the type that a file gives a piece cannot be trusted.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "formats/model_config.h"
#include "tokenizer/piece_table.h"
#include "tokenizer/token_id.h"

namespace fourfold {

// kNoToken for what a vocabulary lacks. Gemma 3 has no tools, channels, thinking and audio.
struct ControlIds {
  TokenId pad = kNoToken, eos = kNoToken, bos = kNoToken, unk = kNoToken, mask = kNoToken;
  TokenId turn_open = kNoToken, turn_close = kNoToken;
  TokenId channel_open = kNoToken, channel_close = kNoToken;
  TokenId think = kNoToken;  // switches thinking on, in the system turn
  TokenId quote = kNoToken;  // <|"|>, the string delimiter of calls and declarations
  TokenId tool_open = kNoToken, tool_close = kNoToken;
  TokenId tool_call_open = kNoToken, tool_call_close = kNoToken;
  TokenId tool_response_open = kNoToken, tool_response_close = kNoToken;
  TokenId image_open = kNoToken, image_close = kNoToken, image = kNoToken;  // image: the soft token
  TokenId audio_open = kNoToken, audio_close = kNoToken, audio = kNoToken;
  TokenId video = kNoToken;
};

struct ControlPiece {
  std::string_view text;
  TokenId ControlIds::*id;
  bool may_be_sampled = false;
};

// The control pieces that a family knows, present in a given vocabulary or not.
std::span<const ControlPiece> control_pieces(Family family);

ControlIds find_control_ids(Family family, const PieceTable& pieces);

}  // namespace fourfold
