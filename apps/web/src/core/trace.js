// How sure the model was: figures of one token of the trace,
// { text, logprob, place, others: [[text, logprob], …] }, best first; place: 'thought' or 'text'. The
// server gives none for markers and calls.

export function probability(logprob) {
  return Math.exp(logprob);
}

// Entropy in bits of the choice. Only the best few candidates are known; all others are counted as
// one, so the true figure may be larger.
export function entropyBits(token) {
  let rest = 1;
  let bits = 0;
  for (const [, logprob] of token.others) {
    const p = Math.exp(logprob);
    rest -= p;
    if (p > 0) bits -= p * Math.log2(p);
  }
  if (rest > 1e-6) bits -= rest * Math.log2(rest);
  return Math.max(0, bits);
}

export const kColourings = {
  probability: 'Probability',
  entropy: 'Entropy',
};

// 0 (sure) … 5 (a guess).
export function heat(token, colouring) {
  const limits = colouring === 'entropy' ? [0.1, 0.5, 1, 1.75, 2.5] : [0.05, 0.35, 0.7, 1.5, 3];
  const figure = colouring === 'entropy' ? entropyBits(token) : -token.logprob;
  return limits.filter((limit) => figure > limit).length;
}

// The candidates of a token with what was drawn marked; it is added if it was not among the best.
export function candidates(token) {
  const list = token.others.map(([text, logprob]) => ({
    text,
    logprob,
    isDrawn: text === token.text && Math.abs(logprob - token.logprob) < 1e-3,
  }));
  if (!list.some((entry) => entry.isDrawn)) {
    list.push({ text: token.text, logprob: token.logprob, isDrawn: true });
  }
  return list;
}

// Of all tokens: { perplexity, bits (mean entropy), least (index of the least likely one) }.
export function summary(tokens) {
  if (tokens.length === 0) return null;
  let logprobs = 0;
  let bits = 0;
  let least = 0;
  tokens.forEach((token, index) => {
    logprobs += token.logprob;
    bits += entropyBits(token);
    if (token.logprob < tokens[least].logprob) least = index;
  });
  return { perplexity: Math.exp(-logprobs / tokens.length), bits: bits / tokens.length, least };
}

// White space made visible, so that a token of nothing else can be seen and pointed at.
export function visibleToken(text) {
  return text.replace(/\n/g, '⏎').replace(/\t/g, '⇥').replace(/^ | $/g, '·') || '∅';
}
