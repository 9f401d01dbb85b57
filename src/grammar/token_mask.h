// What a constraint (a JSON schema, a tool call, a turn that must not end yet) tells the sampler.
// The machine in chat/ implements it, so that the sampler need not know of chats.
//
//   const auto token = TRY(sampler.sample(logits, history, position, &mask));
//   TRY(mask.commit(token.id));
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "tokenizer/id_bits.h"
#include "tokenizer/token_id.h"

namespace fourfold {

class TokenMask {
 public:
  virtual ~TokenMask() = default;

  // Which ids may come next, as id_bits.h has them, at least one. Empty: all ids may. Valid until
  // the next commit.
  virtual std::span<const std::uint64_t> allowed() const = 0;

  // Whether penalties for repetition may act on this id here: in constrained text only on tokens
  // that lie wholly inside a free string value.
  virtual bool may_penalise(TokenId id) const = 0;

  // This id is part of the text now.
  virtual Status commit(TokenId id) = 0;
};

inline bool is_allowed(std::span<const std::uint64_t> allowed, TokenId id) {
  return has_id(allowed, id);
}

}  // namespace fourfold
