// G6: media. A model that sees and hears takes every kind; one that does not refuses each by name.
import assert from 'node:assert/strict';
import {Blob} from 'node:buffer';

import {google} from './google_client.mjs';
import {base, check, done, errorOf, medium, model, seenAnswer} from './rows.mjs';

const ai = google();
const kinds = {
  'image/png': ['picture.png', 'IMAGE'],
  'image/jpeg': ['picture.jpg', 'IMAGE'],
  'image/webp': ['picture.webp', 'IMAGE'],
  'audio/wav': ['tone.wav', 'AUDIO'],
  'audio/mp3': ['tone.mp3', 'AUDIO'],
  'video/mp4': ['clip.mp4', 'VIDEO'],
};
const inline = (mimeType, extra = {}) =>
  ({inlineData: {mimeType, data: medium(kinds[mimeType][0]).toString('base64')}, ...extra});
const ask = (part, config = {}) => ai.models.generateContent({
  model: model('sees'), contents: [{role: 'user', parts: [part, {text: 'What is it?'}]}], config});
const tokens = (reply, modality) =>
  reply.usageMetadata.promptTokensDetails.find((item) => item.modality === modality)?.tokenCount ?? 0;

for (const [mimeType, [, modality]] of Object.entries(kinds)) {
  await check(`${mimeType}: seen, and counted by its kind`, async () => {
    const reply = await ask(inline(mimeType));
    assert.equal(reply.text, seenAnswer);
    const {promptTokenCount, promptTokensDetails} = reply.usageMetadata;
    assert.ok(tokens(reply, modality) > 2);
    assert.equal(promptTokensDetails.reduce((sum, item) => sum + item.tokenCount, 0), promptTokenCount);
    const {totalTokens} = await ai.models.countTokens({
      model: model('sees'), contents: [{role: 'user', parts: [inline(mimeType), {text: 'What is it?'}]}]});
    assert.equal(totalTokens, promptTokenCount);
  }, {scripted: true});

  await check(`${mimeType}: refused by a model without eyes and ears, and the part is named`, async () => {
    const error = await errorOf(() => ai.models.generateContent({
      model: model('plain'), contents: [{role: 'user', parts: [inline(mimeType), {text: 'What is it?'}]}]}));
    assert.equal(error.status, 400);
    const body = JSON.parse(error.message);
    assert.equal(body.error.status, 'INVALID_ARGUMENT');
    assert.match(body.error.message, /contents\[0\]\.parts\[0\]/);
  });
}

await check('bytes that are no picture are refused, and the part is named', async () => {
  const part = {inlineData: {mimeType: 'image/png', data: Buffer.from('not looked at').toString('base64')}};
  const error = await errorOf(() => ask(part));
  assert.equal(error.status, 400);
  assert.match(JSON.parse(error.message).error.message, /contents\[0\]\.parts\[0\]/);
});

await check('mediaResolution, of the request and of the part', async () => {
  const counts = [];
  for (const level of ['LOW', 'MEDIUM', 'HIGH']) {
    const reply = await ask(inline('image/png'), {mediaResolution: `MEDIA_RESOLUTION_${level}`});
    counts.push(tokens(reply, 'IMAGE'));
  }
  assert.ok(counts[0] <= 72 && counts[0] < counts[1] && counts[1] < counts[2], counts.join(' '));
  const part = inline('image/png', {mediaResolution: {level: 'MEDIA_RESOLUTION_LOW'}});
  const reply = await ask(part, {mediaResolution: 'MEDIA_RESOLUTION_HIGH'});
  assert.equal(tokens(reply, 'IMAGE'), counts[0]);
}, {scripted: true});

await check('videoMetadata: offsets and rate', async () => {
  const count = async (videoMetadata) => tokens(await ask(inline('video/mp4', {videoMetadata})), 'VIDEO');
  const all = await count({fps: 10});
  const cut = await count({fps: 10, startOffset: '0.5s', endOffset: '1s'});
  assert.ok(cut > 0 && cut < all, `${cut} of ${all}`);
}, {scripted: true});

await check('a file that was uploaded', async () => {
  const file = await ai.files.upload({
    file: new Blob([medium('picture.png')], {type: 'image/png'}), config: {mimeType: 'image/png'}});
  const reply = await ask({fileData: {fileUri: file.uri, mimeType: file.mimeType}});
  assert.equal(tokens(reply, 'IMAGE'), tokens(await ask(inline('image/png')), 'IMAGE'));
  await ai.files.delete({name: file.name});
}, {scripted: true});

await check('what was seen is a header', async () => {
  const reply = await fetch(`${base}/v1beta/models/${model('sees')}:generateContent`, {
    method: 'POST',
    headers: {'content-type': 'application/json', 'x-goog-api-key': 'k'},
    body: JSON.stringify({contents: [{parts: [inline('image/png'), inline('audio/wav')]}]}),
  });
  assert.equal(reply.status, 200);
  const seen = reply.headers.get('x-media-seen').split('; ');
  assert.equal(seen.length, 2);
  assert.match(seen[0], /^image: 256x192 seen as \d+x\d+, \d+ tokens/);
  assert.match(seen[1], /^audio: 1 s, \d+ tokens/);
}, {scripted: true});

done();
