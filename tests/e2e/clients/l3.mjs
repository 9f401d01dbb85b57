// L3: errors.
import assert from 'node:assert/strict';

import {Ollama} from 'ollama';

import {all, base, check, done, errorOf, model} from './rows.mjs';

const client = new Ollama({host: base});
const messages = [{role: 'user', content: 'Hi'}];

await check('a model nobody knows', async () => {
  for (const body of [
    () => client.chat({model: 'nobody', messages}),
    () => client.chat({model: 'nobody', messages, stream: true}),
    () => client.show({model: 'nobody'}),
  ]) {
    const error = await errorOf(body);
    assert.equal(error.name, 'ResponseError');
    assert.equal(error.status_code, 404);
    assert.equal(error.message, "model 'nobody' not found");
  }
});

await check('an error line in mid-stream', async () => {
  let said = '';
  const error = await errorOf(async () => {
    for await (const piece of await client.chat({model: model('fails'), messages, think: false, stream: true})) {
      said += piece.message.content;
    }
  });
  assert.ok(said);
  assert.ok(error.message && !error.message.includes('[object Object]'), error.message);
}, {scripted: true});

await check('an answer that fails as a whole', async () => {
  const error = await errorOf(() => client.chat({model: 'scripted/fails-at-once', messages}));
  assert.equal(error.status_code, 500);
  const streamed = await errorOf(async () => all(await client.chat({model: 'scripted/fails-at-once', messages, stream: true})));
  assert.ok(streamed.message && !streamed.message.includes('[object Object]'), streamed.message);
}, {scripted: true});

done();
