// G2: streams and thoughts.
import assert from 'node:assert/strict';

import {google, parts, usageAddsUp} from './google_client.mjs';
import {all, check, done, model} from './rows.mjs';

const ai = google();
const stream = async (config = {}) => all(await ai.models.generateContentStream(
    {model: model('plain'), contents: 'What happens today?', config: {maxOutputTokens: 400, ...config}}));

await check('more than one chunk; the last has reason and usage', async () => {
  const chunks = await stream();
  assert.ok(chunks.length > 1, `${chunks.length} chunks`);
  for (const chunk of chunks) {
    assert.equal(chunk.candidates[0].content.role, 'model');
    assert.ok(parts(chunk).length > 0);
  }
  assert.ok(chunks.slice(0, -1).every((chunk) => !chunk.candidates[0].finishReason));
  assert.ok(chunks.at(-1).candidates[0].finishReason);
  assert.ok(usageAddsUp(chunks.at(-1).usageMetadata));
  assert.equal(new Set(chunks.map((chunk) => chunk.responseId)).size, 1);
});

await check('the stream says what the whole answer says', async () => {
  const config = {temperature: 0, maxOutputTokens: 60};
  const whole = await ai.models.generateContent({model: model('plain'), contents: 'What happens today?', config});
  const chunks = await stream(config);
  assert.equal(chunks.map((chunk) => chunk.text ?? '').join(''), whole.text);
  assert.deepEqual(chunks.at(-1).usageMetadata.totalTokenCount, whole.usageMetadata.totalTokenCount);
});

await check('includeThoughts shows thoughts before the text', async () => {
  const chunks = await stream({thinkingConfig: {includeThoughts: true, thinkingBudget: 200}});
  const kinds = chunks.flatMap(parts).filter((part) => part.text).map((part) => Boolean(part.thought));
  assert.ok(kinds[0], 'a thought comes first');
  assert.equal(kinds.indexOf(false), kinds.lastIndexOf(true) + 1, 'no thought behind text');
  assert.ok(chunks.at(-1).usageMetadata.thoughtsTokenCount > 0);
}, {scripted: true});

await check('thoughts are counted when they are not shown', async () => {
  const chunks = await stream({thinkingConfig: {thinkingBudget: 200}});
  assert.ok(chunks.flatMap(parts).every((part) => !part.thought || part.text === ''));
  assert.ok(chunks.at(-1).usageMetadata.thoughtsTokenCount > 0);
  assert.ok(chunks.flatMap(parts).some((part) => part.thoughtSignature), 'a signature');
}, {scripted: true});

await check('thinkingBudget 0 thinks nothing', async () => {
  const chunks = await stream({thinkingConfig: {includeThoughts: true, thinkingBudget: 0}});
  assert.ok(chunks.flatMap(parts).every((part) => !part.thought));
  assert.ok(!chunks.at(-1).usageMetadata.thoughtsTokenCount);
});

await check('.text warns of nothing', async () => {
  const said = [];
  const {warn, debug} = console;
  console.warn = (...words) => said.push(words.join(' '));
  console.debug = console.warn;
  try {
    const whole = await ai.models.generateContent({
      model: model('plain'), contents: 'Hi',
      config: {thinkingConfig: {includeThoughts: true, thinkingBudget: 100}, maxOutputTokens: 400}});
    assert.equal(typeof whole.text, 'string');
    for (const chunk of await stream()) void chunk.text;
  } finally {
    Object.assign(console, {warn, debug});
  }
  assert.deepEqual(said, []);
});

await check('characters of several tokens come whole', async () => {
  const chunks = await all(await ai.models.generateContentStream({model: model('unicode'), contents: 'Hi'}));
  const texts = chunks.map((chunk) => chunk.text ?? '');
  assert.ok(texts.every((text) => !text.includes('\ufffd')));
  assert.equal(texts.join(''), 'Grüße: 日本語, 😀, e\u0301, ½ — fin');
}, {scripted: true});

done();
