// G10: interactions.
import assert from 'node:assert/strict';

import {google} from './google_client.mjs';
import {all, check, done, isScripted, model, weather} from './rows.mjs';

const ai = google();

await check('create', async () => {
  const reply = await ai.interactions.create({model: model('plain'), input: 'Hi'});
  assert.equal(reply.status, 'completed');
  assert.ok(reply.id);
  const output = reply.steps.find((step) => step.type === 'model_output');
  assert.equal(output.content[0].type, 'text');
  if (isScripted) assert.match(output.content[0].text, /^The pump runs/);
  assert.ok(reply.usage.total_tokens > 0);
});

await check('stream', async () => {
  const events = await all(await ai.interactions.create({model: model('plain'), input: 'Hi', stream: true}));
  const types = events.map((event) => event.event_type);
  assert.equal(types[0], 'interaction.created');
  assert.equal(types.at(-1), 'interaction.completed');
  const said = events.filter((event) => event.event_type === 'step.delta' && event.delta.type === 'text')
      .map((event) => event.delta.text).join('');
  assert.ok(said);
  if (isScripted) assert.match(said, /^The pump runs/);
  assert.ok(events.at(-1).interaction.usage.total_tokens > 0);
});

await check('a function and its result', async () => {
  const tools = [{type: 'function', ...weather}];
  const first = await ai.interactions.create({model: model('one-call'), input: 'How warm is it in Paris?', tools});
  assert.equal(first.status, 'requires_action');
  const call = first.steps.find((step) => step.type === 'function_call');
  assert.deepEqual([call.name, call.arguments], ['get_weather', {city: 'Paris'}]);
  const second = await ai.interactions.create({
    model: model('one-call'), tools, previous_interaction_id: first.id,
    input: [{type: 'function_result', call_id: call.id, name: call.name, result: {degrees: 21}}]});
  const output = second.steps.find((step) => step.type === 'model_output');
  assert.equal(output.content[0].text, 'It is 21 degrees in Paris.');
}, {scripted: true});

done();
