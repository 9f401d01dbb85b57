// O4: media. A model that sees and hears takes every form; one that does not refuses each by name.
import assert from 'node:assert/strict';

import {openai, user} from './openai_client.mjs';
import {check, done, errorOf, medium, model, seenAnswer} from './rows.mjs';

const client = openai();
const base64 = (name) => medium(name).toString('base64');
const picture = `data:image/png;base64,${base64('picture.png')}`;
const ask = (script, part, more = {}) => client.chat.completions.create({
  model: model(script), messages: user([{type: 'text', text: 'What is it?'}, part]), ...more});

const parts = {
  'image_url, data URI': {type: 'image_url', image_url: {url: picture, detail: 'low'}},
  'image_url, bare string': {type: 'image_url', image_url: picture},
  'input_audio wav': {type: 'input_audio', input_audio: {data: base64('tone.wav'), format: 'wav'}},
  'input_audio mp3': {type: 'input_audio', input_audio: {data: base64('tone.mp3'), format: 'mp3'}},
  'video_url': {type: 'video_url', video_url: {url: `data:video/mp4;base64,${base64('clip.mp4')}`}},
};

for (const [name, part] of Object.entries(parts)) {
  await check(`${name}: seen, and counted`, async () => {
    const reply = await ask('sees', part);
    assert.equal(reply.choices[0].message.content, seenAnswer);
    const {prompt_tokens, prompt_tokens_details: details} = reply.usage;
    const media = details.audio_tokens + (details.image_tokens ?? 0) + (details.video_tokens ?? 0);
    assert.ok(media > 2);
    assert.equal(details.text_tokens + media, prompt_tokens);
    assert.equal(details.audio_tokens > 0, name.startsWith('input_audio'));
  }, {scripted: true});

  await check(`${name}: refused by a model without eyes and ears, and the part is named`, async () => {
    const error = await errorOf(() => ask('plain', part));
    assert.equal(error.status, 400);
    assert.equal(error.type, 'invalid_request_error');
    assert.equal(error.code, 'unsupported_value');
    assert.match(error.message, /messages\[0\]\.content\[1\]/);
  });
}

await check('detail and mm_processor_kwargs settle the budget', async () => {
  const count = async (detail, kwargs) => {
    const part = {type: 'image_url', image_url: {url: picture, ...(detail ? {detail} : {})}};
    const reply = await ask('sees', part, kwargs ? {mm_processor_kwargs: kwargs} : {});
    return reply.usage.prompt_tokens_details.image_tokens;
  };
  const [low, usual, high] = [await count('low'), await count(), await count('high')];
  assert.ok(low <= 72 && low < usual && usual <= 282 && usual < high && high <= 1122, `${low} ${usual} ${high}`);
  assert.equal(await count('auto'), usual);
  assert.equal(await count(undefined, {max_soft_tokens: 70}), low);
  assert.equal(await count('high', {max_soft_tokens: 70}), high);
  const error = await errorOf(() => count(undefined, {max_soft_tokens: 100}));
  assert.equal(error.status, 400);
  assert.match(error.message, /70, 140, 280, 560 or 1120/);
}, {scripted: true});

await check('frames by number and by rate, not both', async () => {
  const count = async (kwargs) => {
    const reply = await ask('sees', parts.video_url, {mm_processor_kwargs: kwargs});
    return reply.usage.prompt_tokens_details.video_tokens;
  };
  const one = await count({num_frames: 1});
  assert.equal(await count({num_frames: 4}), 4 * one);
  assert.equal((await errorOf(() => count({num_frames: 4, fps: 1}))).status, 400);
}, {scripted: true});

await check('a picture in a result of a tool', async () => {
  const reply = await client.chat.completions.create({model: model('sees'), messages: [
    ...user('Look.'),
    {role: 'assistant', content: null,
      tool_calls: [{id: 'a', type: 'function', function: {name: 'look', arguments: '{}'}}]},
    {role: 'tool', tool_call_id: 'a', content: [{type: 'text', text: 'here'}, parts['image_url, data URI']]}]});
  assert.ok(reply.usage.prompt_tokens_details.image_tokens > 2);
}, {scripted: true});

done();
