// O5: embeddings. A chat model gives none: the refusal is asserted, in both encodings.
import assert from 'node:assert/strict';

import {openai} from './openai_client.mjs';
import {check, done, errorOf, model} from './rows.mjs';

for (const change of [{}, {encoding_format: 'float'}]) {
  await check(`embeddings ${JSON.stringify(change)}`, async () => {
    const error = await errorOf(() => openai().embeddings.create({model: model('plain'), input: 'Hi', ...change}));
    assert.equal(error.status, 400);
    assert.equal(error.type, 'invalid_request_error');
    assert.match(error.message, /embed/);
  });
}

done();
