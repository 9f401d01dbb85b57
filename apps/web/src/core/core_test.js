// The parts of the page that need no browser.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answerTokens,
  applyChunk,
  endAnswer,
  makeAnswer,
  seenItems,
  thoughtTokens,
  tokensPerSecond,
} from './answer.js';
import { problemOf } from './json_schema.js';
import { mediaKind, mediaReason, mediaRefusal, modelList } from './models.js';
import { chatRequest, defaultSettings } from './request.js';
import { EventReader } from './sse.js';
import { jsonProblem, parseToolList, prettyJson } from './tools.js';
import { candidates, entropyBits, heat, summary, visibleToken } from './trace.js';
import {
  addNode,
  branchOf,
  copyPath,
  makeConversation,
  pathTo,
  switchBranch,
  titleOf,
  visiblePath,
} from './tree.js';
import { wavFile } from './wav.js';
import { bytes, counted, day, duration, percent } from './words.js';

// ---- events

test('events are the same wherever the stream is cut', () => {
  const stream = ': hello\n\ndata: {"a":1}\n\ndata: two\r\ndata: lines\r\n\r\ndata:[DONE]\n\n';
  for (let cut = 0; cut <= stream.length; cut += 1) {
    const reader = new EventReader();
    const events = [...reader.push(stream.slice(0, cut)), ...reader.push(stream.slice(cut))];
    assert.deepEqual(events, ['{"a":1}', 'two\nlines', '[DONE]']);
  }
});

test('an event without its empty line is not one yet', () => {
  const reader = new EventReader();
  assert.deepEqual(reader.push('data: x\n'), []);
  assert.deepEqual(reader.push('\n'), ['x']);
});

// ---- conversations

function conversationOfTwo() {
  const conversation = makeConversation({});
  const question = addNode(conversation, null, { role: 'user', text: 'Hello\nthere' });
  const answer = addNode(conversation, question.id, { role: 'assistant', text: 'Hi' });
  return { conversation, question, answer };
}

test('answering again adds a branch and shows it', () => {
  const { conversation, question, answer } = conversationOfTwo();
  const other = addNode(conversation, question.id, { role: 'assistant', text: 'Good day' });
  assert.deepEqual(
    visiblePath(conversation).map((node) => node.id),
    [question.id, other.id],
  );
  assert.deepEqual(branchOf(conversation, other.id), { index: 1, count: 2 });
  switchBranch(conversation, other.id, -1);
  assert.equal(visiblePath(conversation).at(-1).id, answer.id);
  switchBranch(conversation, answer.id, -1);
  assert.equal(visiblePath(conversation).at(-1).id, answer.id);
});

test('the first message has branches too', () => {
  const { conversation, question } = conversationOfTwo();
  const other = addNode(conversation, null, { role: 'user', text: 'Good evening' });
  assert.deepEqual(
    visiblePath(conversation).map((node) => node.id),
    [other.id],
  );
  assert.deepEqual(branchOf(conversation, question.id), { index: 0, count: 2 });
});

test('a copy holds the path and shares nothing', () => {
  const { conversation, answer } = conversationOfTwo();
  addNode(conversation, answer.id, { role: 'user', text: 'And?' });
  const copy = copyPath(conversation, answer.id);
  assert.deepEqual(
    visiblePath(copy).map((node) => node.text),
    ['Hello\nthere', 'Hi'],
  );
  visiblePath(copy)[1].text = 'changed';
  assert.equal(answer.text, 'Hi');
  assert.notEqual(copy.id, conversation.id);
});

test('a path ends at its node, and a title is the first line', () => {
  const { conversation, question, answer } = conversationOfTwo();
  assert.deepEqual(pathTo(conversation, answer.id), [question, answer]);
  assert.equal(titleOf(conversation), 'Hello');
  assert.equal(titleOf({ ...conversation, title: 'Mine' }), 'Mine');
  assert.equal(titleOf(makeConversation({})), 'New conversation');
});

// ---- answers

const chunkOf = (delta, more = {}) => ({ choices: [{ index: 0, delta, ...more }] });
const logprobsOf = (token, logprob) => ({
  logprobs: { content: [{ token, logprob, top_logprobs: [{ token, logprob }] }] },
});

function answerOf(...chunks) {
  const answer = makeAnswer('m');
  chunks.forEach((chunk, index) => applyChunk(answer, chunk, answer.started + 100 * (index + 1)));
  return answer;
}

test('a thought, a text and calls are told apart', () => {
  const answer = answerOf(
    chunkOf({ role: 'assistant', content: '' }),
    chunkOf({ reasoning_content: 'Hm.' }, logprobsOf('Hm.', -0.5)),
    chunkOf({ content: 'I look' }, logprobsOf('I look', -0.1)),
    chunkOf({ content: '.' }, logprobsOf('.', -0.2)),
    chunkOf({
      tool_calls: [
        { index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '' } },
      ],
    }),
    chunkOf({ tool_calls: [{ index: 0, function: { arguments: '{"a":1}' } }] }),
    chunkOf({}, { finish_reason: 'tool_calls' }),
  );
  endAnswer(answer);
  assert.equal(answer.thought, 'Hm.');
  assert.equal(answer.text, 'I look.');
  assert.deepEqual(answer.calls, [{ id: 'call_1', name: 'f', arguments: '{"a":1}' }]);
  assert.equal(answer.finish, 'tool_calls');
  assert.equal(answer.firstToken, 200);
  assert.equal(answer.thoughtEnd, 300);
  assert.deepEqual(
    answer.tokens.map((token) => token.place),
    ['thought', 'text', 'text'],
  );
  assert.equal(thoughtTokens(answer), 1);
});

test('tokens are those that the server counted', () => {
  const usage = {
    prompt_tokens: 9,
    completion_tokens: 30,
    completion_tokens_details: { reasoning_tokens: 12 },
    prompt_tokens_details: { cached_tokens: 4 },
  };
  const answer = answerOf(chunkOf({ content: 'x' }), chunkOf({}, { finish_reason: 'length' }), {
    choices: [],
    usage,
  });
  endAnswer(answer, null, answer.started + 3000);
  assert.equal(thoughtTokens(answer), 12);
  assert.equal(answerTokens(answer), 18);
  assert.deepEqual(answer.usage, { prompt: 9, cached: 4, thought: 12, total: 30 });
  assert.equal(tokensPerSecond(answer), 10);
});

test('an error in mid-stream keeps what was said', () => {
  const answer = answerOf(chunkOf({ content: 'Half' }), { error: { message: 'boom', code: 500 } });
  assert.equal(answer.text, 'Half');
  assert.deepEqual(answer.error, { message: 'boom', status: 500 });
  assert.equal(answer.finish, 'error');
  assert.equal(answer.state, 'done');
});

test('a stream that ends without a reason was cut', () => {
  const answer = answerOf(chunkOf({ content: 'Half' }));
  endAnswer(answer);
  assert.equal(answer.finish, 'cut');
});

// ---- requests

const settingsOf = (change) => ({ ...defaultSettings(), model: 'm', ...change });

test('a plain question asks for a stream with its trace and no thought', () => {
  assert.deepEqual(chatRequest([{ role: 'user', text: 'Hi' }], settingsOf({})), {
    model: 'm',
    messages: [{ role: 'user', content: 'Hi' }],
    stream: true,
    stream_options: { include_usage: true },
    reasoning_effort: 'none',
    logprobs: true,
    top_logprobs: 8,
  });
});

test('settings reach the request', () => {
  const settings = settingsOf({
    system: 'Be short.',
    think: 'budget',
    thinkBudget: '256',
    trace: false,
    stop: 'END\n\n##',
    sampling: { temperature: '0', top_k: '', seed: '7' },
  });
  const body = chatRequest([{ role: 'user', text: 'Hi' }], settings);
  assert.deepEqual(body.messages[0], { role: 'system', content: 'Be short.' });
  assert.equal(body.thinking_token_budget, 256);
  assert.ok(!('reasoning_effort' in body) && !('logprobs' in body) && !('top_k' in body));
  assert.equal(body.temperature, 0);
  assert.equal(body.seed, 7);
  assert.deepEqual(body.stop, ['END', '##']);
});

test('schemas, JSON and tools are passed on', () => {
  const schema = { type: 'object' };
  assert.deepEqual(
    chatRequest([], settingsOf({ format: 'schema', schema: JSON.stringify(schema) }))
      .response_format,
    { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } },
  );
  assert.deepEqual(chatRequest([], settingsOf({ format: 'json' })).response_format, {
    type: 'json_object',
  });
  const body = chatRequest([], settingsOf({ tools: '{"name":"f"}', toolChoice: 'required' }));
  assert.deepEqual(body.tools, [{ type: 'function', function: { name: 'f' } }]);
  assert.equal(body.tool_choice, 'required');
});

test('calls, their thought and their results go back; failed answers do not', () => {
  const path = [
    { role: 'user', text: 'Warm?' },
    {
      role: 'assistant',
      text: '',
      thought: 'Look.',
      calls: [{ id: 'c1', name: 'f', arguments: '{}' }],
    },
    { role: 'tool', results: [{ callId: 'c1', name: 'f', content: '21' }] },
    { role: 'assistant', text: '', thought: 'Hm', calls: [] },
  ];
  assert.deepEqual(chatRequest(path, settingsOf({})).messages, [
    { role: 'user', content: 'Warm?' },
    {
      role: 'assistant',
      content: null,
      reasoning_content: 'Look.',
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }],
    },
    { role: 'tool', tool_call_id: 'c1', content: '21' },
  ]);
});

test('media go before the text', () => {
  const media = [
    { kind: 'image', name: 'a.png', type: 'image/png', url: 'data:image/png;base64,AA==' },
    { kind: 'audio', name: 'b.mp3', type: 'audio/mpeg', url: 'data:audio/mpeg;base64,AQ==' },
  ];
  const [message] = chatRequest([{ role: 'user', text: 'What?', media }], settingsOf({})).messages;
  assert.deepEqual(message.content, [
    { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } },
    { type: 'input_audio', input_audio: { data: 'AQ==', format: 'mp3' } },
    { type: 'text', text: 'What?' },
  ]);
});

// ---- tools and JSON

test('tool lists come in three spellings, and a nameless one is refused', () => {
  for (const text of [
    '{"name":"f"}',
    '[{"name":"f"}]',
    '[{"type":"function","function":{"name":"f"}}]',
  ]) {
    assert.deepEqual(parseToolList(text), [{ name: 'f' }]);
  }
  assert.deepEqual(parseToolList(' '), []);
  assert.throws(() => parseToolList('[{}]'), /tool 1 has no name/);
  assert.equal(jsonProblem('[{}]', parseToolList), 'tool 1 has no name');
  assert.notEqual(jsonProblem('{'), '');
  assert.equal(jsonProblem(''), '');
  assert.equal(prettyJson('{"a":1}'), '{\n  "a": 1\n}');
  assert.equal(prettyJson('{"a"'), '{"a"');
});

test('values are held against schemas', () => {
  const zone = {
    type: 'object',
    properties: { zone: { type: 'string', minLength: 1 } },
    required: ['zone'],
    additionalProperties: false,
  };
  const cases = [
    [{ zone: 'north' }, zone, ''],
    [{ zone: 3 }, zone, 'zone must be of type string'],
    [{ zone: '' }, zone, 'zone must have 1 characters or more'],
    [{}, zone, 'the answer has no zone'],
    [{ zone: 'a', more: 1 }, zone, 'more must not be there'],
    [[1, 'x'], { items: { type: 'number' } }, '[1] must be of type number'],
    [[1, 2], { maxItems: 1 }, 'the answer must have 1 entries or fewer'],
    [5, { minimum: 6 }, 'the answer must be at least 6'],
    ['red', { enum: ['green', 'blue'] }, 'the answer must be one of "green", "blue"'],
    ['x1', { pattern: '^[a-z]+$' }, 'the answer must match ^[a-z]+$'],
    [null, { type: ['string', 'null'] }, ''],
    [1.5, { type: 'integer' }, 'the answer must be of type integer'],
    [true, { anyOf: [{ type: 'string' }, { type: 'boolean' }] }, ''],
    [1, { anyOf: [{ type: 'string' }, { type: 'null' }] }, 'the answer must be of type string'],
    [
      { a: { a: 1 } },
      {
        $defs: { n: { properties: { a: { $ref: '#/$defs/n' } }, type: 'object' } },
        $ref: '#/$defs/n',
      },
      'a.a must be of type object',
    ],
  ];
  for (const [value, schema, problem] of cases)
    assert.equal(problemOf(value, schema), problem, JSON.stringify(value));
});

// ---- trace

const tokenOf = (text, ...others) => ({
  text,
  logprob: Math.log(others[0][1]),
  place: 'text',
  others: others.map(([t, p]) => [t, Math.log(p)]),
});

test('entropy counts what is not among the best as one', () => {
  assert.equal(entropyBits(tokenOf('a', ['a', 1])), 0);
  assert.ok(Math.abs(entropyBits(tokenOf('a', ['a', 0.5], ['b', 0.5])) - 1) < 1e-9);
  assert.ok(Math.abs(entropyBits(tokenOf('a', ['a', 0.5], ['b', 0.25])) - 1.5) < 1e-9);
});

test('colours go from sure to a guess', () => {
  assert.equal(heat(tokenOf('a', ['a', 0.99]), 'probability'), 0);
  assert.equal(heat(tokenOf('a', ['a', 0.01]), 'probability'), 5);
  assert.equal(heat(tokenOf('a', ['a', 1]), 'entropy'), 0);
  const even = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((text) => [text, 1 / 8]);
  assert.equal(heat(tokenOf('a', ...even), 'entropy'), 5);
});

test('what was drawn is among the candidates, also an unlikely one', () => {
  assert.deepEqual(
    candidates(tokenOf('a', ['a', 0.5], ['b', 0.4])).map((entry) => entry.isDrawn),
    [true, false],
  );
  const rare = { text: 'z', logprob: -9, others: [['a', -0.1]] };
  assert.deepEqual(candidates(rare).at(-1), { text: 'z', logprob: -9, isDrawn: true });
});

test('a trace has a summary, and white space can be seen', () => {
  const figures = summary([tokenOf('a', ['a', 0.5]), tokenOf('b', ['b', 0.125])]);
  assert.ok(Math.abs(figures.perplexity - 4) < 1e-9);
  assert.equal(figures.least, 1);
  assert.equal(summary([]), null);
  assert.equal(visibleToken(' the\n'), '·the⏎');
  assert.equal(visibleToken(''), '∅');
});

// ---- models

test('models say what they weigh and what they cannot take', () => {
  const details = { parameter_size: '7.3M', quantization_level: 'Q8_0', context_length: 4096 };
  const tags = {
    models: [
      {
        name: 'keeper:latest',
        size: 8e6,
        details,
        capabilities: ['completion', 'tools', 'vision'],
      },
      { name: 'b', size: 5 },
    ],
  };
  const loaded = {
    models: [
      {
        name: 'keeper:latest',
        size: 31e6,
        context_length: 2048,
        expires_at: '2026-11-26T00:00:00Z',
      },
    ],
  };
  const [keeper, other] = modelList(tags, loaded);
  assert.equal(keeper.memoryBytes, 31e6);
  assert.equal(keeper.context, 2048);
  assert.ok(keeper.isLoaded && !other.isLoaded);
  assert.equal(mediaRefusal(keeper, 'image'), '');
  assert.equal(mediaRefusal(keeper, 'audio'), 'keeper was loaded without ears');
  assert.equal(mediaReason(keeper), 'keeper takes no sound');
  assert.equal(mediaReason(other), 'b takes text only');
  assert.deepEqual(modelList({ models: null }, null), []);
});

test('a file is told by its type, else by its ending', () => {
  assert.equal(mediaKind({ type: 'image/png', name: 'a.mp4' }), 'image');
  assert.equal(mediaKind({ type: '', name: 'Film.MKV' }), 'video');
  assert.equal(mediaKind({ type: '', name: 'talk.flac' }), 'audio');
  assert.equal(mediaKind({ type: '', name: 'notes' }), null);
  assert.equal(mediaKind({ type: 'text/plain', name: 'a.mp4' }), null);
});

test('what was seen is a list', () => {
  assert.deepEqual(seenItems('image: 8x8, 66 tokens; audio: 1 s, 27 tokens'), [
    'image: 8x8, 66 tokens',
    'audio: 1 s, 27 tokens',
  ]);
  assert.deepEqual(seenItems(''), []);
});

// ---- words and sounds

test('figures are written as people read them', () => {
  assert.equal(bytes(999), '999 B');
  assert.equal(bytes(8_029_472), '8.0 MB');
  assert.equal(bytes(123_456_789_000), '123 GB');
  assert.equal(counted(1, 'token'), '1 token');
  assert.equal(counted(1234, 'token'), '1,234 tokens');
  assert.equal(duration(248), '248 ms');
  assert.equal(duration(3240), '3.2 s');
  assert.equal(duration(239_900), '4 min 0 s');
  assert.equal(percent(0.0994), '9.9 %');
  assert.equal(percent(0.5), '50 %');
  assert.equal(percent(0.00001), '< 0.1 %');
});

test('days are named', () => {
  const now = new Date(2026, 10, 26, 12).getTime();
  assert.equal(day(now - 3_600_000, now), 'Today');
  assert.equal(day(now - 86_400_000, now), 'Yesterday');
  assert.equal(day(new Date(2026, 2, 3).getTime(), now), '3 March');
  assert.equal(day(new Date(2025, 2, 3).getTime(), now), '3 March 2025');
});

test('a recording becomes a WAV file', () => {
  const file = wavFile(new Float32Array([0, 1, -2]), 16000);
  const view = new DataView(file.buffer);
  assert.equal(file.length, 50);
  assert.equal(String.fromCharCode(...file.slice(0, 4)), 'RIFF');
  assert.equal(view.getUint32(24, true), 16000);
  assert.deepEqual(
    [0, 1, 2].map((i) => view.getInt16(44 + 2 * i, true)),
    [0, 32767, -32767],
  );
});
