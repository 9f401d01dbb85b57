// O2: structured output.
import assert from 'node:assert/strict';

import {zodResponseFormat} from 'openai/helpers/zod';
import {z} from 'zod';

import {openai, user} from './openai_client.mjs';
import {check, done, errorOf, isScripted, model} from './rows.mjs';

const client = openai();
const person = z.object({name: z.string(), age: z.number().int()});

for (const extra of [{}, {reasoning_effort: 'low'}]) {
  await check(`parse() with zod ${JSON.stringify(extra)}`, async () => {
    const reply = await client.chat.completions.parse({
      model: model('schema'), messages: user('Who keeps the plants?'), max_completion_tokens: 600,
      response_format: zodResponseFormat(person, 'person'), ...extra});
    const {message} = reply.choices[0];
    if (isScripted) assert.deepEqual(message.parsed, {name: 'Ada', age: 36});
    person.parse(message.parsed);
    assert.ok(!message.refusal);
  });
}

await check('json_object', async () => {
  const reply = await client.chat.completions.create({
    model: model('schema'), messages: user('Answer in JSON.'), max_completion_tokens: 600, response_format: {type: 'json_object'}});
  const value = JSON.parse(reply.choices[0].message.content);
  assert.equal(typeof value, 'object');
}, {scripted: true});

await check('a keyword that cannot be kept is refused, with its path', async () => {
  const error = await errorOf(() => client.chat.completions.create({
    model: model('schema'), messages: user('Hi'),
    response_format: {type: 'json_schema', json_schema: {name: 'x', strict: true, schema: {
      type: 'object', properties: {a: {type: 'string', pattern: '^(x+)-\\1$'}}, required: ['a']}}}}));
  assert.equal(error.status, 400);
  assert.match(error.message, /pattern/);
});

done();
