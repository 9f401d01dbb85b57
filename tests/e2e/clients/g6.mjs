// G6: media. Until the server can see and hear, each kind is refused by name (http-apis.md 8.1).
import assert from 'node:assert/strict';

import {google} from './google_client.mjs';
import {check, done, errorOf, model} from './rows.mjs';

const ai = google();
const kinds = ['image/png', 'image/jpeg', 'image/webp', 'audio/wav', 'audio/mp3', 'video/mp4'];

for (const mimeType of kinds) {
  await check(`${mimeType}: refused, and the part is named`, async () => {
    const part = {inlineData: {mimeType, data: Buffer.from('not looked at').toString('base64')}};
    if (mimeType.startsWith('video')) part.videoMetadata = {startOffset: '1s', endOffset: '2s', fps: 1};
    const error = await errorOf(() => ai.models.generateContent({
      model: model('plain'), contents: [{role: 'user', parts: [part, {text: 'What is it?'}]}],
      config: {mediaResolution: 'MEDIA_RESOLUTION_LOW'}}));
    assert.equal(error.status, 400);
    const body = JSON.parse(error.message);
    assert.equal(body.error.status, 'INVALID_ARGUMENT');
    assert.match(body.error.message, /contents\[0\]\.parts\[0\]/);
  });
}

done();
