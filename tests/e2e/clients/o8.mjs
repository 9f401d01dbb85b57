// O8: errors, retries, leaving.
import assert from 'node:assert/strict';

import OpenAI from 'openai';

import {openai, user} from './openai_client.mjs';
import {all, base, check, done, errorOf, key, model, sleep, untilIdle} from './rows.mjs';

// A client that counts what it sends; the library's own fetch below it.
let nSent = 0;
const counting = (options = {}) => new OpenAI({
  baseURL: `${base}/v1`, apiKey: key, ...options,
  fetch: (...request) => {
    nSent += 1;
    return fetch(...request);
  }});
const ask = (client, name, change = {}) =>
    client.chat.completions.create({model: name, messages: user('Hi'), ...change});

await check('classes by status', async () => {
  const client = openai(undefined, {maxRetries: 0});
  const bad = await errorOf(() => ask(client, model('plain'), {temperature: 9}));
  assert.ok(bad instanceof OpenAI.BadRequestError);
  assert.deepEqual([bad.type, bad.code, bad.param], ['invalid_request_error', 'invalid_value', 'temperature']);
  const missing = await errorOf(() => ask(client, 'nobody'));
  assert.ok(missing instanceof OpenAI.NotFoundError);
  assert.equal(missing.code, 'model_not_found');
  const empty = await errorOf(() => ask(client, model('plain'), {messages: []}));
  assert.ok(empty instanceof OpenAI.BadRequestError);
  assert.ok(missing.requestID);
});

await check('classes of a full server', async () => {
  const client = openai(undefined, {maxRetries: 0});
  const limited = await errorOf(() => ask(client, 'scripted/rate-limited'));
  assert.ok(limited instanceof OpenAI.RateLimitError, String(limited));
  assert.equal(limited.code, 'rate_limit_exceeded');
  assert.ok(Number(limited.headers.get('retry-after')) >= 1);
  const full = await errorOf(() => ask(client, 'scripted/queue-full'));
  assert.ok(full instanceof OpenAI.InternalServerError);
  assert.deepEqual([full.status, full.type], [503, 'unavailable_error']);
  const broken = await errorOf(() => ask(client, 'scripted/fails-at-once'));
  assert.deepEqual([broken.status, broken.type], [500, 'server_error']);
}, {scripted: true});

await check('501 is not tried again', async () => {
  nSent = 0;
  const error = await errorOf(() => counting().images.generate({prompt: 'a pump'}));
  assert.equal(error.status, 501);
  assert.equal(error.headers.get('x-should-retry'), 'false');
  assert.equal(nSent, 1);
});

await check('429 is tried again after the time that the server names', async () => {
  const client = counting();
  const busy = ['a', 'b'].map(() => ask(client, 'scripted/busy-js', {max_tokens: 8}));  // one runs, one waits
  await sleep(200);
  nSent = 0;
  const third = await ask(client, 'scripted/busy-js', {max_tokens: 8});
  assert.ok(third.choices[0].message.content);
  assert.ok(nSent >= 2, `${nSent} requests`);
  await Promise.all(busy);
}, {scripted: true});

await check('an error in mid-stream', async () => {
  const error = await errorOf(async () => all(await ask(openai(), 'scripted/fails', {stream: true})));
  assert.ok(error instanceof OpenAI.APIError, String(error));
}, {scripted: true});

await check('abort', async () => {
  const stream = await ask(openai(), 'scripted/slow', {stream: true});
  let n = 0;
  for await (const chunk of stream) {
    assert.ok(chunk);
    if (++n === 3) break;  // ends the request
  }
  await untilIdle(1000);
}, {scripted: true});

await check('abort of an answer that is not streamed', async () => {
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 500);
  const error = await errorOf(() => openai().chat.completions.create(
      {model: 'scripted/slow', messages: user('Count.')}, {signal: abort.signal}));
  assert.ok(error instanceof OpenAI.APIUserAbortError);
  await untilIdle(1000);
}, {scripted: true});

done();
