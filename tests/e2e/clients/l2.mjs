// L2: generate, and models that are made.
import assert from 'node:assert/strict';

import {Ollama} from 'ollama';

import {all, base, check, done, errorOf, isScripted, model} from './rows.mjs';

const client = new Ollama({host: base});
const ask = (script, change = {}) => client.generate(
    {model: model(script), prompt: 'Hi', think: false, options: {num_predict: 60, temperature: 0}, ...change});

await check('generate, and streamed', async () => {
  const whole = await ask('plain');
  assert.ok(whole.response && whole.done);
  assert.ok(whole.context.length > 3 && whole.context.every(Number.isInteger));
  const pieces = await all(await ask('plain', {stream: true}));
  assert.equal(pieces.map((piece) => piece.response).join(''), whole.response);
  assert.deepEqual(pieces.at(-1).context, whole.context);
});

await check('context goes on with the conversation', async () => {
  const first = await ask('memory', {prompt: 'I am Ada.'});
  const second = await ask('memory', {prompt: 'Who am I?', context: first.context});
  assert.ok(second.prompt_eval_count > first.context.length);
  if (isScripted) assert.equal(second.response, 'You are Ada.');
});

await check('raw, system', async () => {
  const raw = await ask('plain', {raw: true, prompt: 'The pump'});
  const plain = await ask('plain', {prompt: 'The pump'});
  assert.ok(raw.prompt_eval_count < plain.prompt_eval_count);
  assert.ok((await ask('plain', {prompt: 'The pump', system: 'Be kind.'})).prompt_eval_count > plain.prompt_eval_count);
  const error = await errorOf(() => ask('plain', {raw: true, system: 'Be kind.'}));
  assert.match(error.message, /raw mode does not support template, system, or context/);
  assert.match((await errorOf(() => ask('plain', {suffix: 'x'}))).message, /does not support insert/);
});

await check('an empty prompt loads', async () => {
  assert.equal((await ask('plain', {prompt: ''})).done_reason, 'load');
});

await check('embed is refused by name', async () => {
  const error = await errorOf(() => client.embed({model: model('plain'), input: 'Hi'}));
  assert.equal(error.status_code, 400);
  assert.match(error.message, /this model does not support embeddings/);
});

await check('create from a model with a system text, copy, delete', async () => {
  const name = `made-${process.pid}`;
  const made = await all(await client.create({model: name, from: model('plain'), system: 'You look after a greenhouse.',
                                              parameters: {temperature: 0}, stream: true}));
  assert.equal(made.at(-1).status, 'success');
  assert.equal((await client.show({model: name})).system, 'You look after a greenhouse.');
  const options = {num_predict: 4};
  const ask_ = (which) => client.chat({model: which, messages: [{role: 'user', content: 'Hi'}], think: false, options});
  assert.ok((await ask_(name)).prompt_eval_count > (await ask_(model('plain'))).prompt_eval_count);
  await client.copy({source: name, destination: `${name}-2`});
  const listed = async () => (await client.list()).models.map((item) => item.name.replace(/:latest$/, ''));
  assert.ok((await listed()).includes(`${name}-2`));
  await client.delete({model: `${name}-2`});
  await client.delete({model: name});
  assert.ok(!(await listed()).includes(name));
  assert.equal((await errorOf(() => client.delete({model: name}))).status_code, 404);
});

await check('pull of a model that is there', async () => {
  const statuses = (await all(await client.pull({model: model('plain'), stream: true}))).map((item) => item.status);
  assert.equal(statuses.at(-1), 'success');
  assert.equal((await client.pull({model: model('plain')})).status, 'success');
  const error = await errorOf(async () => all(await client.pull({model: 'nobody', stream: true})));
  assert.match(error.message, /pull model manifest: file does not exist/);
});

done();
