// O4: media. Until the server can see and hear, each kind is refused by name (http-apis.md 8.1).
import assert from 'node:assert/strict';

import {openai, user} from './openai_client.mjs';
import {check, done, errorOf, model} from './rows.mjs';

const client = openai();
const data = Buffer.from('not looked at').toString('base64');

for (const [name, part] of Object.entries({
  'image_url, data URI': {type: 'image_url', image_url: {url: `data:image/png;base64,${data}`, detail: 'low'}},
  'image_url, bare string': {type: 'image_url', image_url: `data:image/png;base64,${data}`},
  'input_audio wav': {type: 'input_audio', input_audio: {data, format: 'wav'}},
  'input_audio mp3': {type: 'input_audio', input_audio: {data, format: 'mp3'}},
  'video_url': {type: 'video_url', video_url: {url: `data:video/mp4;base64,${data}`}},
})) {
  await check(`${name}: refused, and the part is named`, async () => {
    const error = await errorOf(() => client.chat.completions.create({
      model: model('plain'), messages: user([{type: 'text', text: 'What is it?'}, part])}));
    assert.equal(error.status, 400);
    assert.equal(error.type, 'invalid_request_error');
    assert.equal(error.code, 'unsupported_value');
    assert.match(error.message, /messages\[0\]\.content\[1\]/);
  });
}

done();
