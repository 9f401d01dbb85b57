// O7: models, plain completions, transcriptions.
import assert from 'node:assert/strict';

import {toFile} from 'openai';

import {openai} from './openai_client.mjs';
import {all, check, done, errorOf, model} from './rows.mjs';

const client = openai();

await check('models, with a slash in the id', async () => {
  const ids = (await all(await client.models.list())).map((item) => item.id);
  assert.ok(ids.includes(model('plain')), ids.join(' '));
  const item = await client.models.retrieve(model('plain'));
  assert.equal(item.id, model('plain'));
  assert.equal(item.object, 'model');
  assert.equal((await errorOf(() => client.models.retrieve('no/body'))).status, 404);
});

await check('completions', async () => {
  const reply = await client.completions.create({model: model('plain'), prompt: 'The pump', max_tokens: 12, temperature: 0});
  assert.equal(reply.object, 'text_completion');
  assert.match(reply.id, /^cmpl-/);
  assert.equal(typeof reply.choices[0].text, 'string');
  assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
  const chunks = await all(await client.completions.create(
      {model: model('plain'), prompt: 'The pump', max_tokens: 12, temperature: 0, stream: true}));
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? '').join(''), reply.choices[0].text);
  assert.equal(chunks.filter((chunk) => chunk.choices[0]?.finish_reason).length, 1);
});

await check('completions: several prompts, ids, echo, logprobs', async () => {
  const several = await client.completions.create({model: model('plain'), prompt: ['One', 'Two'], max_tokens: 4});
  assert.deepEqual(several.choices.map((choice) => choice.index), [0, 1]);
  const echo = await client.completions.create({model: model('plain'), prompt: 'The pump', max_tokens: 4, echo: true, logprobs: 2});
  assert.ok(echo.choices[0].text.startsWith('The pump'));
  assert.ok(echo.choices[0].logprobs.tokens.length > 0);
  const ids = await client.completions.create({model: model('plain'), prompt: [2, 300, 301], max_tokens: 4});
  assert.equal(ids.usage.prompt_tokens, 3);
  assert.equal((await errorOf(() => client.completions.create({model: model('plain'), prompt: 'a', suffix: 'b'}))).status, 400);
});

// Until the server can hear (http-apis.md 8.1).
await check('a transcription is refused by name', async () => {
  const file = await toFile(Buffer.from('RIFF0000WAVE'), 'a.wav');
  const error = await errorOf(() => client.audio.transcriptions.create({model: model('plain'), file}));
  assert.equal(error.status, 400);
  assert.match(error.message, /file/);
});

done();
