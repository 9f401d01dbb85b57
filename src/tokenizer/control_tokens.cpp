#include "tokenizer/control_tokens.h"

namespace fourfold {
namespace {

using Ids = ControlIds;

constexpr ControlPiece kGemma4[] = {
    {"<pad>", &Ids::pad},
    {"<eos>", &Ids::eos, true},
    {"<bos>", &Ids::bos},
    {"<unk>", &Ids::unk},
    {"<mask>", &Ids::mask},
    {"<|tool>", &Ids::tool_open},
    {"<tool|>", &Ids::tool_close},
    {"<|tool_call>", &Ids::tool_call_open, true},
    {"<tool_call|>", &Ids::tool_call_close, true},
    {"<|tool_response>", &Ids::tool_response_open, true},
    {"<tool_response|>", &Ids::tool_response_close, true},
    {"<|\"|>", &Ids::quote, true},
    {"<|think|>", &Ids::think},
    {"<|channel>", &Ids::channel_open, true},
    {"<channel|>", &Ids::channel_close, true},
    {"<|turn>", &Ids::turn_open},
    {"<turn|>", &Ids::turn_close, true},
    {"<|image>", &Ids::image_open},
    {"<image|>", &Ids::image_close},
    {"<|image|>", &Ids::image},
    {"<|audio>", &Ids::audio_open},
    {"<audio|>", &Ids::audio_close},
    {"<|audio|>", &Ids::audio},
    {"<|video|>", &Ids::video},
};

constexpr ControlPiece kGemma3[] = {
    {"<pad>", &Ids::pad},
    {"<eos>", &Ids::eos, true},
    {"<bos>", &Ids::bos},
    {"<unk>", &Ids::unk},
    {"<mask>", &Ids::mask},
    {"<start_of_turn>", &Ids::turn_open},
    {"<end_of_turn>", &Ids::turn_close, true},
    {"<start_of_image>", &Ids::image_open},
    {"<end_of_image>", &Ids::image_close},
    {"<image_soft_token>", &Ids::image},
};

}  // namespace

std::span<const ControlPiece> control_pieces(Family family) {
  if (family == Family::Gemma3) return kGemma3;
  return kGemma4;
}

ControlIds find_control_ids(Family family, const PieceTable& pieces) {
  ControlIds ids;
  for (const auto& piece : control_pieces(family)) ids.*piece.id = pieces.find(piece.text);
  return ids;
}

}  // namespace fourfold
