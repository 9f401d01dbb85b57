// O7: models, plain completions, transcriptions.
import assert from 'node:assert/strict';

import {toFile} from 'openai';

import {openai} from './openai_client.mjs';
import {all, check, done, errorOf, isScripted, medium, model, seenAnswer} from './rows.mjs';

const client = openai();

await check('models, with a slash in the id', async () => {
  const ids = (await all(await client.models.list())).map((item) => item.id);
  assert.ok(ids.includes(model('plain')), ids.join(' '));
  const item = await client.models.retrieve(model('plain'));
  assert.equal(item.id, model('plain'));
  assert.equal(item.object, 'model');
  assert.equal((await errorOf(() => client.models.retrieve('no/body'))).status, 404);
});

await check('completions', async () => {
  const reply = await client.completions.create({model: model('plain'), prompt: 'The pump', max_tokens: 12, temperature: 0});
  assert.equal(reply.object, 'text_completion');
  assert.match(reply.id, /^cmpl-/);
  assert.equal(typeof reply.choices[0].text, 'string');
  assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
  const chunks = await all(await client.completions.create(
      {model: model('plain'), prompt: 'The pump', max_tokens: 12, temperature: 0, stream: true}));
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? '').join(''), reply.choices[0].text);
  assert.equal(chunks.filter((chunk) => chunk.choices[0]?.finish_reason).length, 1);
});

await check('completions: several prompts, ids, echo, logprobs', async () => {
  const several = await client.completions.create({model: model('plain'), prompt: ['One', 'Two'], max_tokens: 4});
  assert.deepEqual(several.choices.map((choice) => choice.index), [0, 1]);
  const echo = await client.completions.create({model: model('plain'), prompt: 'The pump', max_tokens: 4, echo: true, logprobs: 2});
  assert.ok(echo.choices[0].text.startsWith('The pump'));
  assert.ok(echo.choices[0].logprobs.tokens.length > 0);
  const ids = await client.completions.create({model: model('plain'), prompt: [2, 300, 301], max_tokens: 4});
  assert.equal(ids.usage.prompt_tokens, 3);
  assert.equal((await errorOf(() => client.completions.create({model: model('plain'), prompt: 'a', suffix: 'b'}))).status, 400);
});

await check('a transcription by a model that does not hear is refused by name', async () => {
  const file = await toFile(Buffer.from('RIFF0000WAVE'), 'a.wav');
  const error = await errorOf(() => client.audio.transcriptions.create({model: model('plain'), file}));
  assert.equal(error.status, 400);
  assert.match(error.message, /file/);
});

// The script says the same whatever it hears.
if (isScripted) {
  const heard = seenAnswer;
  const tone = () => toFile(medium('tone.wav'), 'tone.wav');
  const transcribe = async (more) => client.audio.transcriptions.create({model: model('sees'), file: await tone(), ...more});

  await check('a transcription', async () => {
    const reply = await transcribe({language: 'en', prompt: 'A garden.', temperature: 0});
    assert.equal(reply.text, heard);
    assert.equal(reply.usage.type, 'tokens');
    // A second is 25 frames of 40 ms and two markers.
    assert.equal(reply.usage.input_token_details.audio_tokens, 27);
    assert.equal(reply.usage.total_tokens, reply.usage.input_tokens + reply.usage.output_tokens);
    assert.equal(await transcribe({response_format: 'text'}), heard + '\n');
  });

  await check('a transcription with its segments', async () => {
    const reply = await transcribe({response_format: 'verbose_json', timestamp_granularities: ['segment']});
    assert.equal(reply.duration, 1);
    assert.deepEqual(reply.segments.map(({start, end, text}) => ({start, end, text: text.trim()})), [{start: 0, end: 1, text: heard}]);
    assert.match(await transcribe({response_format: 'srt'}), /00:00:00,000 --> 00:00:01,000/);
    assert.match(await transcribe({response_format: 'vtt'}), /^WEBVTT/);
    const error = await errorOf(() => transcribe({response_format: 'verbose_json', timestamp_granularities: ['word']}));
    assert.equal(error.status, 400);
  });

  await check('a transcription as a stream', async () => {
    const events = await all(await transcribe({stream: true}));
    const deltas = events.filter((event) => event.type === 'transcript.text.delta');
    assert.equal(deltas.map((event) => event.delta).join(''), heard);
    const last = events.at(-1);
    assert.equal(last.type, 'transcript.text.done');
    assert.equal(last.text, heard);
    assert.ok(last.usage.total_tokens > 27);
  });
}

done();
