// G1: models, and answers as a whole; three ways to name the server.
import assert from 'node:assert/strict';

import {GoogleGenAI} from '@google/genai';

import {google, usageAddsUp} from './google_client.mjs';
import {base, check, done, isScripted, key, model} from './rows.mjs';

function fromEnvironment() {
  process.env.GOOGLE_GEMINI_BASE_URL = base;
  const client = new GoogleGenAI({apiKey: key});
  delete process.env.GOOGLE_GEMINI_BASE_URL;
  return client;
}

const plain = 'The pump runs at six. Then the fan turns for ten minutes, and the vent stays open until noon.';

for (const [way, make] of [
  ['baseUrl', () => google()],
  ['baseUrl with version', () => google(`${base}/v1beta`)],
  ['environment', fromEnvironment],
]) {
  const ai = make();

  await check(`${way}: lists models, two a page`, async () => {
    const names = [];
    const pager = await ai.models.list({config: {pageSize: 2}});
    assert.ok(pager.page.length <= 2);
    for await (const item of pager) names.push(item.name);
    assert.equal(new Set(names).size, names.length, 'no model twice');
    assert.ok(names.includes(`models/${model('plain')}`), names.join(' '));
  });

  await check(`${way}: tells about a model`, async () => {
    const item = await ai.models.get({model: model('plain')});
    assert.equal(item.name, `models/${model('plain')}`);
    assert.ok(item.inputTokenLimit > 1000);
    assert.ok(item.supportedActions.includes('generateContent'));
  });

  await check(`${way}: answers`, async () => {
    const reply = await ai.models.generateContent({
      model: model('plain'),
      contents: 'What happens today?',
      config: {temperature: 0, maxOutputTokens: 200},
    });
    if (isScripted) assert.equal(reply.text, plain);
    assert.ok(reply.text.length > 0);
    assert.ok(['STOP', 'MAX_TOKENS'].includes(reply.candidates[0].finishReason));
    assert.equal(reply.candidates[0].content.role, 'model');
    assert.ok(usageAddsUp(reply.usageMetadata), JSON.stringify(reply.usageMetadata));
    assert.ok(reply.responseId);
    assert.ok(reply.modelVersion);
  });
}

const ai = google();

await check('systemInstruction makes the prompt longer', async () => {
  const ask = async (config) => (await ai.models.generateContent(
      {model: model('plain'), contents: 'Hi', config: {maxOutputTokens: 20, ...config}})).usageMetadata;
  const without = await ask({});
  const withIt = await ask({systemInstruction: 'You look after a greenhouse.'});
  assert.ok(withIt.promptTokenCount > without.promptTokenCount);
});

await check('stopSequences end the answer before the text', async () => {
  const reply = await ai.models.generateContent({
    model: model('plain'), contents: 'Hi', config: {stopSequences: ['ten minutes']}});
  assert.equal(reply.text, plain.slice(0, plain.indexOf('ten minutes')));
  assert.equal(reply.candidates[0].finishReason, 'STOP');
}, {scripted: true});

await check('maxOutputTokens ends it with MAX_TOKENS', async () => {
  const reply = await ai.models.generateContent({
    model: model('plain'), contents: 'Tell me all about the pump, the fan and the vent.',
    config: {maxOutputTokens: 3}});
  assert.equal(reply.candidates[0].finishReason, 'MAX_TOKENS');
  assert.equal(reply.usageMetadata.candidatesTokenCount, 3);
});

await check('a seed repeats the answer', async () => {
  const ask = async () => (await ai.models.generateContent({
    model: model('plain'), contents: 'Say anything.',
    config: {seed: 11, temperature: 1, maxOutputTokens: 30}})).text;
  assert.equal(await ask(), await ask());
});

await check('candidateCount 2', async () => {
  const reply = await ai.models.generateContent({
    model: model('plain'), contents: 'Hi', config: {candidateCount: 2, maxOutputTokens: 40}});
  assert.deepEqual(reply.candidates.map((candidate) => candidate.index ?? 0), [0, 1]);
  for (const candidate of reply.candidates) assert.ok(candidate.content.parts[0].text);
});

await check('responseLogprobs', async () => {
  const reply = await ai.models.generateContent({
    model: model('plain'), contents: 'Hi',
    config: {responseLogprobs: true, logprobs: 3, maxOutputTokens: 12}});
  const {chosenCandidates, topCandidates} = reply.candidates[0].logprobsResult;
  assert.equal(chosenCandidates.length, topCandidates.length);
  assert.ok(chosenCandidates.length > 3);
  assert.ok(topCandidates.every((top) => top.candidates.length === 3));
  assert.ok(chosenCandidates.every((token) => Number.isFinite(token.logProbability) && token.logProbability <= 0));
  assert.ok(chosenCandidates.map((token) => token.token).join('').includes(reply.text));
});

done();
