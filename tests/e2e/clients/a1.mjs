// A1: the Messages API.
import assert from 'node:assert/strict';

import Anthropic from '@anthropic-ai/sdk';

import {all, base, check, done, errorOf, isScripted, key, medium, model, seenAnswer, weather} from './rows.mjs';

const client = new Anthropic({baseURL: base, apiKey: key, maxRetries: 0});
const plain = 'The pump runs at six. Then the fan turns for ten minutes, and the vent stays open until noon.';
const user = (content) => [{role: 'user', content}];
const tools = [{name: 'get_weather', description: weather.description, input_schema: weather.parameters}];
const ask = (script, change = {}) => client.messages.create(
    {model: model(script), max_tokens: 300, messages: user('Hi'), ...change});

await check('create', async () => {
  const reply = await ask('plain', {system: 'Be kind.', temperature: 0});
  assert.match(reply.id, /^msg_/);
  assert.equal(reply.role, 'assistant');
  assert.equal(reply.model, model('plain'));
  assert.equal(reply.content[0].type, 'text');
  assert.ok(['end_turn', 'max_tokens'].includes(reply.stop_reason));
  assert.ok(reply.usage.output_tokens > 0);
  assert.ok(reply._request_id);
  if (isScripted) assert.equal(reply.content[0].text, plain);
});

await check('the stream helper ends with what the whole answer says', async () => {
  const whole = await ask('plain', {temperature: 0, max_tokens: 60});
  const final = await client.messages.stream(
      {model: model('plain'), max_tokens: 60, temperature: 0, messages: user('Hi')}).finalMessage();
  assert.deepEqual(final.content, whole.content);
  assert.equal(final.stop_reason, whole.stop_reason);
  assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
});

await check('stop_sequences, and the limit', async () => {
  const stopped = await ask('plain', {stop_sequences: ['ten minutes']});
  if (isScripted) assert.deepEqual([stopped.stop_reason, stopped.stop_sequence], ['stop_sequence', 'ten minutes']);
  const cut = await ask('plain', {max_tokens: 2, messages: user('Tell me all about the pump, the fan and the vent.')});
  assert.equal(cut.stop_reason, 'max_tokens');
});

await check('tool use, and its result', async () => {
  const first = await ask('one-call', {tools});
  assert.equal(first.stop_reason, 'tool_use');
  const use = first.content.find((block) => block.type === 'tool_use');
  assert.match(use.id, /^toolu_/);
  assert.deepEqual([use.name, use.input], ['get_weather', {city: 'Paris'}]);
  const second = await ask('one-call', {tools, messages: [
    ...user('How warm is it?'), {role: 'assistant', content: first.content},
    {role: 'user', content: [{type: 'tool_result', tool_use_id: use.id, content: '21 degrees'}]}]});
  assert.equal(second.content[0].text, 'It is 21 degrees in Paris.');
  const final = await client.messages.stream(
      {model: model('parallel-calls'), max_tokens: 300, tools, messages: user('How warm is it?')}).finalMessage();
  assert.deepEqual(final.content.map((block) => block.input?.city), ['Paris', 'Rome']);
}, {scripted: true});

await check('tool_choice', async () => {
  const any = await ask('one-call', {tools, tool_choice: {type: 'any'}});
  assert.equal(any.stop_reason, 'tool_use');
  const named = await ask('one-call', {
    tools: [...tools, {name: 'get_time', input_schema: {type: 'object'}}], tool_choice: {type: 'tool', name: 'get_time'}});
  assert.deepEqual([named.content[0].name, named.content[0].input], ['get_time', {}]);
  if (!isScripted) return;
  const none = await ask('plain', {tools, tool_choice: {type: 'none'}});
  assert.equal(none.stop_reason, 'end_turn');
  const serial = await ask('parallel-calls', {tools, tool_choice: {type: 'auto', disable_parallel_tool_use: true}});
  assert.equal(serial.content.filter((block) => block.type === 'tool_use').length, 1);
});

await check('thinking with a budget', async () => {
  const thinking = {type: 'enabled', budget_tokens: 1024};
  const reply = await ask('plain', {thinking, max_tokens: 2000});
  assert.deepEqual(reply.content.map((block) => block.type), ['thinking', 'text']);
  assert.match(reply.content[0].thinking, /^The user wants a plan/);
  assert.ok(reply.content[0].signature);
  const final = await client.messages.stream(
      {model: model('plain'), max_tokens: 2000, thinking, messages: user('Hi')}).finalMessage();
  assert.equal(final.content[0].thinking, reply.content[0].thinking);
  assert.ok(final.content[0].signature);
}, {scripted: true});

await check('pictures, in messages and in results', async () => {
  const image = {type: 'image',
    source: {type: 'base64', media_type: 'image/png', data: medium('picture.png').toString('base64')}};
  const messages = user([image, {type: 'text', text: 'What is it?'}]);
  const seen = await ask('sees', {messages});
  assert.equal(seen.content[0].text, seenAnswer);
  const {input_tokens} = await client.messages.countTokens({model: model('sees'), messages});
  assert.equal(input_tokens, seen.usage.input_tokens + seen.usage.cache_read_input_tokens);
  const after = (content) => client.messages.countTokens({model: model('sees'), messages: [
    ...user('Look.'), {role: 'assistant', content: [{type: 'tool_use', id: 'a', name: 'look', input: {}}]},
    {role: 'user', content: [{type: 'tool_result', tool_use_id: 'a', content}]}]});
  const [bare, shown] = [await after([]), await after([image])];
  assert.ok(shown.input_tokens > bare.input_tokens + 200);
  const error = await errorOf(() => ask('plain', {messages}));
  assert.equal(error.status, 400);
  assert.match(error.message, /messages\[0\]\.content\[0\]/);
}, {scripted: true});

await check('count_tokens equals the usage', async () => {
  const request = {model: model('one-call'), system: 'Be kind.', tools, messages: user('How warm is it?')};
  const {input_tokens} = await client.messages.countTokens(request);
  const {usage} = await client.messages.create({...request, max_tokens: 4});
  assert.equal(input_tokens, usage.input_tokens + usage.cache_read_input_tokens + (usage.cache_creation_input_tokens ?? 0));
});

await check('models', async () => {
  const ids = (await all(client.models.list())).map((item) => item.id);
  assert.ok(ids.includes(model('plain')), ids.join(' '));
  assert.equal((await client.models.retrieve(model('plain'))).type, 'model');
});

await check('errors', async () => {
  const bad = await errorOf(() => ask('plain', {temperature: 2}));
  assert.ok(bad instanceof Anthropic.BadRequestError);
  assert.equal(bad.error.error.type, 'invalid_request_error');
  const missing = await errorOf(() => client.messages.create({model: 'nobody', max_tokens: 9, messages: user('Hi')}));
  assert.ok(missing instanceof Anthropic.NotFoundError);
  assert.equal(missing.error.error.type, 'not_found_error');
  if (!isScripted) return;
  assert.ok(await errorOf(() => ask('rate-limited')) instanceof Anthropic.RateLimitError);
  const full = await errorOf(() => ask('queue-full'));
  assert.deepEqual([full.status, full.error.error.type], [529, 'overloaded_error']);
  assert.ok(await errorOf(() => client.messages.stream({model: model('fails'), max_tokens: 99, messages: user('Hi')}).finalMessage()));
});

done();
