// O9: Google's address for OpenAI clients.
import assert from 'node:assert/strict';

import {openai, plain, user} from './openai_client.mjs';
import {all, base, check, done, isScripted, model} from './rows.mjs';

for (const path of ['/v1beta/openai/', '/v1beta/openai', '']) {
  const client = openai(base + path);
  await check(`chat and stream at "${path}"`, async () => {
    const request = {model: model('plain'), messages: user('Hi'), temperature: 0, max_tokens: 60};
    const whole = await client.chat.completions.create(request);
    const chunks = await all(await client.chat.completions.create({...request, stream: true}));
    const said = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
    assert.equal(said, whole.choices[0].message.content);
    if (isScripted) assert.equal(said, plain);
    assert.ok((await all(await client.models.list())).length > 0);
  });
}

done();
