// An answer of the model, put together from the chunks of a chat completion stream.

export function makeAnswer(model) {
  return {
    role: 'assistant',
    model,
    state: 'running', // then 'done'
    thought: '',
    text: '',
    calls: [], // { id, name, arguments: JSON text }
    tokens: [], // see trace.js; empty unless the trace is on
    finish: null, // 'stop', 'length', 'tool_calls', 'stopped', 'error'
    usage: null, // { prompt, cached, thought, total }
    timings: null,
    warnings: '', // of the reply's x-warning header
    seen: [], // of its x-media-seen header: a phrase for each picture, sound and film
    error: null, // { message, status }
    started: Date.now(),
    firstToken: 0, // milliseconds after the start
    thoughtEnd: 0, // likewise
    ended: 0, // likewise
  };
}

export function seenItems(header) {
  return header.split('; ').filter((item) => item !== '');
}

// Adds what a chunk says to the answer.
export function applyChunk(answer, chunk, now = Date.now()) {
  if (chunk.error) {
    failAnswer(answer, chunk.error.message ?? String(chunk.error), chunk.error.code, now);
    return;
  }
  if (chunk.usage) answer.usage = usageOf(chunk.usage);
  if (chunk.timings) answer.timings = chunk.timings;
  const choice = chunk.choices?.[0];
  if (!choice) return;

  const delta = choice.delta ?? {};
  const thought = delta.reasoning_content ?? delta.reasoning ?? '';
  const text = delta.content ?? '';
  const calls = delta.tool_calls ?? [];
  if (thought || text || calls.length > 0) answer.firstToken ||= now - answer.started;
  if (thought) answer.thought += thought;
  if ((text || calls.length > 0) && answer.thought) answer.thoughtEnd ||= now - answer.started;
  answer.text += text;
  for (const call of calls) addCall(answer, call);
  const place = thought ? 'thought' : 'text';
  for (const entry of choice.logprobs?.content ?? []) answer.tokens.push(tokenOf(entry, place));
  if (choice.finish_reason) answer.finish = choice.finish_reason;
}

function addCall(answer, delta) {
  const index = delta.index ?? answer.calls.length;
  answer.calls[index] ??= { id: '', name: '', arguments: '' };
  const call = answer.calls[index];
  if (delta.id) call.id = delta.id;
  if (delta.function?.name) call.name = delta.function.name;
  call.arguments += delta.function?.arguments ?? '';
}

// A token takes little room: conversations with their traces are kept in the browser.
function tokenOf(entry, place) {
  return {
    text: entry.token,
    logprob: entry.logprob,
    place,
    others: (entry.top_logprobs ?? []).map((other) => [other.token, other.logprob]),
  };
}

function usageOf(usage) {
  return {
    prompt: usage.prompt_tokens ?? 0,
    cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
    thought: usage.completion_tokens_details?.reasoning_tokens ?? 0,
    total: usage.completion_tokens ?? 0,
  };
}

export function endAnswer(answer, finish = null, now = Date.now()) {
  answer.state = 'done';
  answer.ended = now - answer.started;
  if (answer.thought) answer.thoughtEnd ||= answer.ended;
  // The server always says why it ended; a stream without that was cut.
  answer.finish ??= finish ?? 'cut';
}

export function failAnswer(answer, message, status, now = Date.now()) {
  answer.error = { message, status: status ?? 0 };
  answer.finish = 'error';
  endAnswer(answer, 'error', now);
}

// Tokens of the thought: as the server counted them, before that as they are seen in the trace.
export function thoughtTokens(answer) {
  if (answer.usage) return answer.usage.thought;
  return answer.tokens.filter((token) => token.place === 'thought').length;
}

export function answerTokens(answer) {
  if (answer.usage) return answer.usage.total - answer.usage.thought;
  return answer.tokens.filter((token) => token.place !== 'thought').length;
}

// Tokens per second since the first of them; 0 if that cannot be said.
export function tokensPerSecond(answer, now = Date.now()) {
  if (answer.timings?.predicted_per_second) return answer.timings.predicted_per_second;
  const seconds = ((answer.ended || now - answer.started) - answer.firstToken) / 1000;
  const count = thoughtTokens(answer) + answerTokens(answer);
  return seconds > 0 && count > 1 ? (count - 1) / seconds : 0;
}

// True if there is something in it that the model should see again.
export function holdsSomething(answer) {
  return Boolean(answer.text || answer.calls.length > 0);
}
