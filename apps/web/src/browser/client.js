// The server, as the page sees it. Addresses are relative to the page, so that a prefix of a reverse
// proxy is kept.
import { EventReader } from '../core/sse.js';

export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

function headers(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

// A reply with an error status → the words of its body, in the envelope of any dialect.
async function errorOf(reply) {
  let message = `the server answered ${reply.status}`;
  try {
    const { error } = await reply.json();
    message = error?.message ?? error ?? message;
  } catch {
    // No JSON: the status says it all.
  }
  return new ServerError(message, reply.status);
}

async function request(path, options) {
  let reply;
  try {
    reply = await fetch(new URL(path, document.baseURI), options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ServerError('the server does not answer', 0);
  }
  if (!reply.ok) throw await errorOf(reply);
  return reply;
}

export async function getJson(path, key) {
  return (await request(path, { headers: headers(key) })).json();
}

export async function postJson(path, body, key) {
  const options = {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers(key) },
    body: JSON.stringify(body),
  };
  return (await request(path, options)).json();
}

// Streams a chat completion: calls onWarning with what the server did not do as asked, onSeen with
// what it saw of pictures, sounds and films, and onChunk with each chunk.
export async function streamChat(body, { key, signal, onWarning, onSeen, onChunk }) {
  const reply = await request('v1/chat/completions', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers(key) },
    body: JSON.stringify(body),
    signal,
  });
  const warning = reply.headers.get('x-warning');
  if (warning) onWarning(warning);
  const seen = reply.headers.get('x-media-seen');
  if (seen) onSeen(seen);

  const events = new EventReader();
  const decoder = new TextDecoder();
  const reader = reply.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const data of events.push(decoder.decode(value, { stream: true }))) {
      if (data !== '[DONE]') onChunk(JSON.parse(data));
    }
  }
}
