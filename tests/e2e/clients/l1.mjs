// L1: lists, chats, thinking, tools, formats.
import assert from 'node:assert/strict';

import {Ollama} from 'ollama';

import {all, base, check, done, errorOf, isScripted, medium, model, seenAnswer, weather} from './rows.mjs';

const client = new Ollama({host: base});
const plain = 'The pump runs at six. Then the fan turns for ten minutes, and the vent stays open until noon.';
const user = (content, extra = {}) => [{role: 'user', content, ...extra}];
const ask = (script, change = {}) => client.chat(
    {model: model(script), messages: user('Hi'), think: false, options: {num_predict: 600}, ...change});

await check('list, show, version', async () => {
  const {models} = await client.list();
  const names = models.map((item) => item.model);
  assert.ok(names.some((name) => name.startsWith(model('plain'))), names.join(' '));
  for (const item of models) {
    assert.match(item.digest, /^[0-9a-f]{64}$/);
    assert.ok(Date.parse(item.modified_at) > 0);
    assert.equal(item.details.format, 'gguf');
  }
  const shown = await client.show({model: names[0]});
  assert.ok(shown.model_info['general.architecture']);
  assert.ok(shown.capabilities.includes('completion'));
  assert.match((await client.version()).version, /^\d+\.\d+\.\d+$/);
});

await check('chat, and streamed', async () => {
  const whole = await ask('plain', {options: {temperature: 0, num_predict: 60}});
  assert.equal(whole.done, true);
  assert.ok(['stop', 'length'].includes(whole.done_reason));
  assert.ok(whole.prompt_eval_count > 0 && whole.eval_count > 0 && whole.total_duration > 0);
  const pieces = await all(await ask('plain', {stream: true, options: {temperature: 0, num_predict: 60}}));
  assert.ok(pieces.length > 2);
  assert.equal(pieces.map((piece) => piece.message.content).join(''), whole.message.content);
  assert.equal(pieces.filter((piece) => piece.done).length, 1);
  assert.equal(pieces.at(-1).eval_count, whole.eval_count);
  if (isScripted) assert.equal(whole.message.content, plain);
});

await check('think true, "high", false, unset', async () => {
  for (const think of [true, 'high', undefined]) {
    const {message} = await ask('plain', {think});
    assert.match(message.thinking, /^The user wants a plan/, String(think));
    assert.equal(message.content, plain);
  }
  assert.ok(!(await ask('plain', {think: false})).message.thinking);
  assert.ok(!(await ask('plain', {think: undefined, options: {num_predict: 100}})).message.thinking, 'a short answer');
}, {scripted: true});

await check('tools, and their result', async () => {
  const tools = [{type: 'function', function: weather}];
  const first = await ask('one-call', {tools});
  const [call] = first.message.tool_calls;
  assert.deepEqual([call.function.name, call.function.arguments], ['get_weather', {city: 'Paris'}]);
  const second = await ask('one-call', {tools, messages: [
    ...user('How warm is it?'), first.message, {role: 'tool', content: '21 degrees', tool_name: 'get_weather'}]});
  assert.equal(second.message.content, 'It is 21 degrees in Paris.');
  const pieces = await all(await ask('parallel-calls', {tools, stream: true}));
  assert.equal(pieces.flatMap((piece) => piece.message.tool_calls ?? []).length, 2);
}, {scripted: true});

await check('images from bytes, a sound among them', async () => {
  const images = [new Uint8Array(medium('tone.wav')), new Uint8Array(medium('picture.png'))];
  const seen = await ask('sees', {messages: user('What is it?', {images})});
  assert.equal(seen.message.content, seenAnswer);
  const bare = await ask('sees', {messages: user('What is it?')});
  assert.ok(seen.prompt_eval_count > bare.prompt_eval_count + 100);
  const {capabilities} = await client.show({model: model('sees')});
  assert.ok(capabilities.includes('vision') && capabilities.includes('audio'), capabilities.join(' '));
}, {scripted: true});

await check('an image is refused by name', async () => {
  for (const image of [new Uint8Array([1, 2, 3]), new Uint8Array(medium('picture.png'))]) {
    const error = await errorOf(() => ask('plain', {messages: user('What is it?', {images: [image]})}));
    assert.equal(error.status_code, 400);
    assert.match(error.message, /images\[0\]/);
  }
});

await check('format: json and a schema', async () => {
  const format = {type: 'object', properties: {name: {type: 'string'}, age: {type: 'integer'}}, required: ['name', 'age']};
  const value = JSON.parse((await ask('schema', {format})).message.content);
  assert.deepEqual(Object.keys(value), ['name', 'age']);
  if (isScripted) JSON.parse((await ask('schema', {format: 'json'})).message.content);
  assert.equal((await errorOf(() => ask('schema', {format: 'xml'}))).status_code, 400);
});

await check('options: stop, and values that are none', async () => {
  const reply = await ask('plain', {options: {stop: ['ten minutes'], temperature: 0}});
  if (isScripted) assert.equal(reply.message.content, plain.slice(0, plain.indexOf('ten minutes')));
  const error = await errorOf(() => ask('plain', {options: {top_k: 'many'}}));
  assert.equal(error.status_code, 400);
  assert.match(error.message, /top_k/);
});

await check('keep_alive 0 unloads', async () => {
  const name = model('no-arguments');  // of this row alone
  await client.chat({model: name, messages: user('Hi'), keep_alive: '1h', options: {num_predict: 4}});
  const loaded = async () => (await client.ps()).models.some((item) => item.name.startsWith(name));
  assert.ok(await loaded());
  await client.chat({model: name, messages: user('Hi'), keep_alive: 0, options: {num_predict: 4}});
  for (let i = 0; i < 50 && await loaded(); ++i) await new Promise((resolve) => setTimeout(resolve, 40));
  assert.ok(!await loaded(), 'it is not in ps');
  await client.chat({model: name, messages: user('Hi'), options: {num_predict: 4}});
}, {scripted: true});  // live, every other row keeps the only model loaded

done();
