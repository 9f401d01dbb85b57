// O6: responses.
import assert from 'node:assert/strict';

import {openai, plain} from './openai_client.mjs';
import {all, check, done, errorOf, isScripted, model, weather} from './rows.mjs';

const client = openai();
const ask = (change = {}, script = 'plain') => client.responses.create(
    {model: model(script), input: 'Hi', max_output_tokens: 200, ...change});
const item = (reply, type) => reply.output.find((entry) => entry.type === type);

await check('create', async () => {
  const reply = await ask();
  assert.match(reply.id, /^resp_/);
  assert.equal(reply.object, 'response');
  assert.ok(['completed', 'incomplete'].includes(reply.status));
  assert.ok(reply.output_text);
  assert.deepEqual(item(reply, 'message').content[0].annotations, []);
  const {usage} = reply;
  assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
  assert.ok(usage.input_tokens_details.cached_tokens >= 0 && usage.output_tokens_details.reasoning_tokens >= 0);
  if (isScripted) assert.equal(reply.output_text, plain);
});

await check('events in order', async () => {
  const events = await all(await ask({stream: true}));
  assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, i) => i));
  const types = events.map((event) => event.type).filter((type, i, list) => type !== list[i - 1]);
  assert.deepEqual(types, [
    'response.created', 'response.in_progress', 'response.output_item.added',
    'response.content_part.added', 'response.output_text.delta', 'response.output_text.done',
    'response.content_part.done', 'response.output_item.done',
    events.at(-1).type]);
  assert.ok(['response.completed', 'response.incomplete'].includes(events.at(-1).type));
  const said = events.filter((event) => event.type === 'response.output_text.delta').map((event) => event.delta).join('');
  assert.equal(said, events.at(-1).response.output[0].content[0].text);
});

await check('the stream helper with reasoning', async () => {
  for (const [reasoning, kind] of [[{effort: 'low'}, 'content'], [{effort: 'low', summary: 'auto'}, 'summary']]) {
    const final = await client.responses.stream(
        {model: model('plain'), input: 'Hi', reasoning, max_output_tokens: 400}).finalResponse();
    assert.deepEqual(final.output.map((entry) => entry.type), ['reasoning', 'message']);
    assert.match(final.output[0][kind].map((part) => part.text).join(''), /^The user wants a plan/);
    assert.equal(final.output_text, plain);
    assert.ok(final.usage.output_tokens_details.reasoning_tokens > 0);
  }
}, {scripted: true});

await check('a call, its result, previous_response_id', async () => {
  const tools = [{type: 'function', strict: false, ...weather}];
  const first = await ask({tools, input: 'How warm is it in Paris?'}, 'one-call');
  const call = item(first, 'function_call');
  assert.match(call.call_id, /^call_/);
  assert.deepEqual([call.name, JSON.parse(call.arguments)], ['get_weather', {city: 'Paris'}]);
  const output = {type: 'function_call_output', call_id: call.call_id, output: '21 degrees'};
  const byId = await ask({tools, previous_response_id: first.id, input: [output]}, 'one-call');
  assert.equal(byId.output_text, 'It is 21 degrees in Paris.');
  const byItems = await ask({tools, store: false, input: [{role: 'user', content: 'How warm is it in Paris?'}, ...first.output, output]}, 'one-call');
  assert.equal(byItems.output_text, 'It is 21 degrees in Paris.');
  assert.equal(byItems.usage.input_tokens, byId.usage.input_tokens);
}, {scripted: true});

await check('a streamed call', async () => {
  const events = await all(await ask({tools: [{type: 'function', strict: false, ...weather}], stream: true}, 'one-call'));
  const types = events.map((event) => event.type).filter((type, i, list) => type !== list[i - 1]);
  assert.deepEqual(types, [
    'response.created', 'response.in_progress', 'response.output_item.added',
    'response.function_call_arguments.delta', 'response.function_call_arguments.done',
    'response.output_item.done', 'response.completed']);
}, {scripted: true});

await check('previous_response_id goes on with the conversation', async () => {
  const first = await ask({input: 'I am Ada.'}, 'memory');
  const second = await ask({input: 'Who am I?', previous_response_id: first.id}, 'memory');
  if (isScripted) assert.equal(second.output_text, 'You are Ada.');
  const error = await errorOf(() => ask({previous_response_id: 'resp_nothing'}));
  assert.deepEqual([error.status, error.code], [404, 'previous_response_not_found']);
});

await check('retrieve and delete', async () => {
  const first = await ask();
  assert.equal((await client.responses.retrieve(first.id)).id, first.id);
  await client.responses.delete(first.id);
  assert.equal((await errorOf(() => client.responses.retrieve(first.id))).status, 404);
});

await check('incomplete at the limit', async () => {
  const reply = await ask({input: 'Tell me all about the pump, the fan and the vent.', max_output_tokens: 3});
  assert.equal(reply.status, 'incomplete');
  assert.equal(reply.incomplete_details.reason, 'max_output_tokens');
});

await check('text.format json_schema', async () => {
  const reply = await ask({text: {format: {type: 'json_schema', name: 'person', strict: true, schema: {
    type: 'object', properties: {name: {type: 'string'}, age: {type: 'integer'}},
    required: ['name', 'age'], additionalProperties: false}}}, max_output_tokens: 600}, 'schema');
  const value = JSON.parse(reply.output_text);
  assert.deepEqual(Object.keys(value), ['name', 'age']);
});

await check('input_tokens equals the usage', async () => {
  const counted = await client.responses.inputTokens.count({model: model('plain'), input: 'Hi', instructions: 'Be kind.'});
  const reply = await ask({instructions: 'Be kind.', max_output_tokens: 16});
  assert.equal(counted.input_tokens, reply.usage.input_tokens);
});

await check('an error in mid-stream', async () => {
  const error = await errorOf(async () => all(await ask({stream: true}, 'fails')));
  assert.ok(error.message, String(error));
}, {scripted: true});

done();
