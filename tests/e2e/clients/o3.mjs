// O3: tools.
import assert from 'node:assert/strict';

import {openai, user} from './openai_client.mjs';
import {all, check, done, errorOf, isScripted, model, weather} from './rows.mjs';

const client = openai();
const tools = [{type: 'function', function: weather}, {type: 'function', function: {name: 'get_time', description: 'Tells the time.'}}];
const question = user('How warm is it in Paris?');
const ask = async (script, change = {}) => (await client.chat.completions.create(
    {model: model(script), messages: question, tools, max_completion_tokens: 300, ...change})).choices[0];
const called = (choice) => choice.message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);

await check('required', async () => {
  const choice = await ask('one-call', {tool_choice: 'required'});
  assert.equal(choice.finish_reason, 'tool_calls');
  assert.match(choice.message.tool_calls[0].id, /^call_/);
  assert.equal(choice.message.tool_calls[0].type, 'function');
  JSON.parse(choice.message.tool_calls[0].function.arguments);
  if (isScripted) {
    assert.equal(choice.message.content, null);
    assert.deepEqual(called(choice), [['get_weather', {city: 'Paris'}]]);
  }
});

await check('named', async () => {
  const choice = await ask('one-call', {tool_choice: {type: 'function', function: {name: 'get_time'}}});
  assert.deepEqual(called(choice).slice(0, 1), [['get_time', {}]]);
});

await check('auto, none, allowed_tools', async () => {
  assert.deepEqual(called(await ask('one-call', {tool_choice: 'auto'})), [['get_weather', {city: 'Paris'}]]);
  const none = await ask('plain', {tool_choice: 'none'});
  assert.equal(none.finish_reason, 'stop');
  assert.equal(none.message.tool_calls, undefined);
  const allowed = await ask('one-call', {tool_choice: {type: 'allowed_tools', allowed_tools: {
    mode: 'required', tools: [{type: 'function', function: {name: 'get_time'}}]}}});
  assert.deepEqual(called(allowed), [['get_time', {}]]);
}, {scripted: true});

await check('parallel, and not', async () => {
  assert.equal((await ask('parallel-calls')).message.tool_calls.length, 2);
  assert.equal((await ask('parallel-calls', {parallel_tool_calls: false})).message.tool_calls.length, 1);
}, {scripted: true});

await check('a streamed call', async () => {
  const chunks = await all(await client.chat.completions.create(
      {model: model('parallel-calls'), messages: question, tools, stream: true}));
  const deltas = chunks.flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? []);
  assert.deepEqual([...new Set(deltas.map((delta) => delta.index))], [0, 1]);
  assert.equal(deltas.filter((delta) => delta.id).length, 2, 'each id once');
  const helper = client.chat.completions.stream({model: model('parallel-calls'), messages: question, tools});
  const final = await helper.finalChatCompletion();
  assert.deepEqual(called(final.choices[0]), [['get_weather', {city: 'Paris'}], ['get_weather', {city: 'Rome'}]]);
  assert.equal(final.choices[0].finish_reason, 'tool_calls');
}, {scripted: true});

await check('runTools', async () => {
  const asked = [];
  const runner = client.chat.completions.runTools({
    model: model('one-call'), messages: question,
    tools: [{type: 'function', function: {...weather, parse: JSON.parse, function: ({city}) => {
      asked.push(city);
      return '21 degrees';
    }}}]});
  assert.equal(await runner.finalContent(), 'It is 21 degrees in Paris.');
  assert.deepEqual(asked, ['Paris']);
}, {scripted: true});

await check('a developer message, and a tool result as parts', async () => {
  const first = await ask('one-call');
  const choice = await ask('one-call', {messages: [
    {role: 'developer', content: 'Be short.'}, ...question, first.message,
    {role: 'tool', tool_call_id: first.message.tool_calls[0].id, content: [{type: 'text', text: '21 degrees'}]}]});
  assert.equal(choice.message.content, 'It is 21 degrees in Paris.');
}, {scripted: true});

await check('a named tool that is not there', async () => {
  const error = await errorOf(() => ask('plain', {tool_choice: {type: 'function', function: {name: 'nobody'}}}));
  assert.equal(error.status, 400);
});

done();
