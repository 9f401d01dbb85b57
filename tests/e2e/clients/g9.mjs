// G9: counting, embeddings, cancelling, errors.
import assert from 'node:assert/strict';

import {ApiError} from '@google/genai';

import {google} from './google_client.mjs';
import {all, check, done, errorOf, model, untilIdle} from './rows.mjs';

const ai = google();
const ask = (name, config = {}) =>
    ai.models.generateContent({model: name, contents: 'Hi there', config});
const status = async (body) => {
  const error = await errorOf(body);
  assert.ok(error instanceof ApiError, String(error));
  const {error: inner} = JSON.parse(error.message);
  assert.equal(inner.code, error.status);
  return [error.status, inner.status, inner.message];
};

await check('countTokens equals promptTokenCount', async () => {
  const contents = [
    {role: 'user', parts: [{text: 'Grüße 日本'}]}, {role: 'model', parts: [{text: 'Hello.'}]},
    {role: 'user', parts: [{text: 'And now?'}]}];
  const {totalTokens} = await ai.models.countTokens({model: model('plain'), contents});
  const reply = await ai.models.generateContent({model: model('plain'), contents, config: {maxOutputTokens: 5}});
  assert.equal(totalTokens, reply.usageMetadata.promptTokenCount);
});

await check('embedContent is refused by name', async () => {
  const [code, , message] = await status(() => ai.models.embedContent({model: model('plain'), contents: 'Hi'}));
  assert.equal(code, 400);
  assert.match(message, /does not support embedContent/);
});

await check('a client that leaves frees its slot within a second', async () => {
  const abort = new AbortController();
  const stream = await ai.models.generateContentStream({
    model: model('slow'), contents: 'Count.', config: {abortSignal: abort.signal}});
  let n = 0;
  await errorOf(async () => {
    for await (const chunk of stream) {
      assert.ok(chunk);
      if (++n === 3) abort.abort();
    }
    throw new Error('over');
  });
  assert.equal(n, 3);
  await untilIdle(1000);
}, {scripted: true});

await check('400 for a bad value, with its path', async () => {
  const [code, name, message] = await status(() => ask(model('plain'), {temperature: 7}));
  assert.deepEqual([code, name], [400, 'INVALID_ARGUMENT']);
  assert.match(message, /temperature/);
});

await check('404 for a model', async () => {
  const [code, name, message] = await status(() => ask('nobody'));
  assert.deepEqual([code, name], [404, 'NOT_FOUND']);
  assert.match(message, /models\/nobody is not found for API version v1beta, or is not supported for generateContent\. Call ListModels/);
});

await check('429 and 503', async () => {
  assert.deepEqual((await status(() => ask('scripted/rate-limited'))).slice(0, 2), [429, 'RESOURCE_EXHAUSTED']);
  assert.deepEqual((await status(() => ask('scripted/queue-full'))).slice(0, 2), [503, 'UNAVAILABLE']);
  const streamed = () => ai.models.generateContentStream({model: 'scripted/queue-full', contents: 'Hi'});
  assert.deepEqual((await status(streamed)).slice(0, 2), [503, 'UNAVAILABLE']);
}, {scripted: true});

await check('an error in mid-stream', async () => {
  let n = 0;
  const error = await errorOf(async () => {
    for await (const chunk of await ai.models.generateContentStream({model: 'scripted/fails', contents: 'Hi'})) {
      n += chunk.text ? 1 : 0;
    }
  });
  assert.ok(n > 0, 'there was text before it');
  assert.equal(error.status, 500);
  assert.equal((await errorOf(() => ask('scripted/fails-at-once'))).status, 500);
}, {scripted: true});

await check('a deadline', async () => {
  const late = google(undefined, {timeout: 1000});
  const error = await errorOf(async () => all(await late.models.generateContentStream({
    model: model('slow'), contents: 'Count.'})));
  assert.ok(error);
  await untilIdle(2000);
}, {scripted: true});

done();
