// The visible path of a conversation and its settings → the body of POST v1/chat/completions.
// Throws an Error in words for the reader if a setting is no JSON.
import { holdsSomething } from './answer.js';
import { parseNamed, parseToolList } from './tools.js';

export const kSamplers = [
  { name: 'temperature', label: 'Temperature', usual: '1', min: 0, max: 2, step: 0.05 },
  { name: 'top_p', label: 'Top-p', usual: '0.95', min: 0, max: 1, step: 0.01 },
  { name: 'top_k', label: 'Top-k', usual: '64', min: 0, max: 1000, step: 1 },
  { name: 'min_p', label: 'Min-p', usual: '0', min: 0, max: 1, step: 0.01 },
  { name: 'repeat_penalty', label: 'Repeat penalty', usual: '1', min: 0.5, max: 2, step: 0.05 },
  { name: 'presence_penalty', label: 'Presence penalty', usual: '0', min: -2, max: 2, step: 0.1 },
  { name: 'frequency_penalty', label: 'Frequency penalty', usual: '0', min: -2, max: 2, step: 0.1 },
  { name: 'seed', label: 'Seed', usual: 'random', min: 0, max: 2147483647, step: 1 },
  { name: 'max_tokens', label: 'Longest answer', usual: 'what fits', min: 1, max: 1e6, step: 1 },
];

export function defaultSettings() {
  return {
    model: '',
    system: '',
    think: 'off', // 'on', 'budget'
    thinkLast: 'on', // what the switch beside the message turns on
    thinkBudget: 1024,
    tools: '', // JSON text
    toolChoice: 'auto', // 'none', 'required'
    format: 'text', // 'json', 'schema'
    schema: '', // JSON text
    sampling: {}, // by the names of kSamplers; absent: the model's own
    stop: '', // one a line
    trace: true,
  };
}

// Alternatives of each token that the trace asks for.
const kAlternatives = 8;

export function chatRequest(path, settings) {
  const body = {
    model: settings.model,
    messages: messagesOf(path, settings.system),
    stream: true,
    stream_options: { include_usage: true },
    ...thinkingOf(settings),
    ...formatOf(settings),
    ...toolsOf(settings),
    ...samplingOf(settings),
  };
  if (settings.trace) Object.assign(body, { logprobs: true, top_logprobs: kAlternatives });
  return body;
}

function messagesOf(path, system) {
  const messages = [];
  if (system.trim()) messages.push({ role: 'system', content: system });
  for (const node of path) {
    if (node.role === 'user') messages.push({ role: 'user', content: contentOf(node) });
    if (node.role === 'assistant' && holdsSomething(node)) messages.push(answerMessage(node));
    if (node.role === 'tool') {
      for (const result of node.results) {
        messages.push({ role: 'tool', tool_call_id: result.callId, content: result.content });
      }
    }
  }
  return messages;
}

function answerMessage(node) {
  const message = { role: 'assistant', content: node.text || null };
  // A thought counts only on the way to a tool's result; the server leaves older ones out itself.
  if (node.thought && node.calls.length > 0) message.reasoning_content = node.thought;
  if (node.calls.length > 0) {
    message.tool_calls = node.calls.map((call) => ({
      id: call.id,
      type: 'function',
      function: { name: call.name, arguments: call.arguments },
    }));
  }
  return message;
}

// Media go before the text, as the model card advises.
function contentOf(node) {
  if (!node.media?.length) return node.text;
  const parts = node.media.map(mediaPart);
  if (node.text) parts.push({ type: 'text', text: node.text });
  return parts;
}

function mediaPart(item) {
  if (item.kind === 'image') return { type: 'image_url', image_url: { url: item.url } };
  if (item.kind === 'video') return { type: 'video_url', video_url: { url: item.url } };
  const data = item.url.slice(item.url.indexOf(',') + 1);
  return {
    type: 'input_audio',
    input_audio: { data, format: /mpeg|mp3/.test(item.type) ? 'mp3' : 'wav' },
  };
}

function thinkingOf({ think, thinkBudget }) {
  if (think === 'budget') return { thinking_token_budget: Number(thinkBudget) };
  return { reasoning_effort: think === 'on' ? 'high' : 'none' };
}

function formatOf({ format, schema }) {
  if (format === 'json') return { response_format: { type: 'json_object' } };
  if (format !== 'schema' || !schema.trim()) return {};
  const json_schema = {
    name: 'answer',
    strict: true,
    schema: parseNamed('schema', schema, JSON.parse),
  };
  return { response_format: { type: 'json_schema', json_schema } };
}

function toolsOf({ tools, toolChoice }) {
  const list = parseNamed('tools', tools, parseToolList);
  if (list.length === 0) return {};
  return {
    tools: list.map((entry) => ({ type: 'function', function: entry })),
    tool_choice: toolChoice,
  };
}

function samplingOf({ sampling, stop }) {
  const chosen = {};
  for (const { name } of kSamplers) {
    const value = sampling[name];
    if (value !== undefined && value !== '') chosen[name] = Number(value);
  }
  const stops = stop.split('\n').filter((line) => line !== '');
  return stops.length > 0 ? { ...chosen, stop: stops } : chosen;
}
