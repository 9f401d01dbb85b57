#include "api/answer.h"

namespace fourfold {
namespace {

std::string joined(const std::vector<AnswerPiece>& pieces, AnswerPiece::Kind kind) {
  std::string text;
  for (const auto& piece : pieces) {
    if (piece.kind == kind) text += piece.text;
  }
  return text;
}

}  // namespace

void Candidate::add(const ChatDelta& delta) {
  using Type = ChatEvent::Type;
  using Kind = AnswerPiece::Kind;
  const auto add_text = [&](Kind kind) {
    if (pieces.empty() || pieces.back().kind != kind || kind == Kind::Malformed) {
      pieces.push_back({.kind = kind, .text = {}, .call = {}});
    }
    pieces.back().text += delta.event.text;
  };
  tokens.insert(tokens.end(), delta.tokens.begin(), delta.tokens.end());
  switch (delta.event.type) {
    case Type::Thought: add_text(Kind::Thought); break;
    case Type::Text: add_text(Kind::Text); break;
    case Type::Malformed: add_text(Kind::Malformed); break;
    case Type::Call:
      pieces.push_back({.kind = Kind::Call, .text = {}, .call = delta.event.call});
      break;
    case Type::CallStarted:
    case Type::CallArguments:
    case Type::Finish: break;
  }
}

std::string Candidate::text() const { return joined(pieces, AnswerPiece::Kind::Text); }
std::string Candidate::thought() const { return joined(pieces, AnswerPiece::Kind::Thought); }

std::vector<ToolCall> Candidate::calls() const {
  std::vector<ToolCall> calls;
  for (const auto& piece : pieces) {
    if (piece.kind == AnswerPiece::Kind::Call) calls.push_back(piece.call);
  }
  return calls;
}

}  // namespace fourfold
