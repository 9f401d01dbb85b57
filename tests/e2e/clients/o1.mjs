// O1: chat completions, whole and streamed.
import assert from 'node:assert/strict';

import {openai, plain, usageAddsUp, user} from './openai_client.mjs';
import {all, check, done, isScripted, model} from './rows.mjs';

const client = openai();
const ask = (change = {}, script = 'plain') => client.chat.completions.create(
    {model: model(script), messages: user('Hi'), max_completion_tokens: 60, ...change});

await check('an answer', async () => {
  const reply = await ask({temperature: 0});
  assert.match(reply.id, /^chatcmpl-[A-Za-z0-9]{24}$/);
  assert.equal(reply.object, 'chat.completion');
  assert.equal(reply.model, model('plain'));
  const [choice] = reply.choices;
  assert.equal(choice.message.role, 'assistant');
  assert.ok(choice.message.content);
  assert.equal(choice.message.tool_calls, undefined);
  assert.ok(['stop', 'length'].includes(choice.finish_reason));
  assert.ok(usageAddsUp(reply.usage), JSON.stringify(reply.usage));
  assert.ok(reply._request_id);
  if (isScripted) assert.equal(choice.message.content, plain);
});

await check('a stream; usage where it is asked for', async () => {
  const chunks = await all(await ask({stream: true, stream_options: {include_usage: true}}));
  assert.ok(chunks.length > 3);
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  assert.equal(new Set(chunks.map((chunk) => chunk.created)).size, 1);
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.equal(chunks.flatMap((chunk) => chunk.choices).filter((choice) => choice.finish_reason).length, 1);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.ok(usageAddsUp(chunks.at(-1).usage));
  const bare = await all(await ask({stream: true}));
  assert.ok(bare.every((chunk) => !chunk.usage && chunk.choices.length === 1));
});

await check('the stream helper ends with what the whole answer says', async () => {
  const whole = await ask({temperature: 0});
  const helper = client.chat.completions.stream(
      {model: model('plain'), messages: user('Hi'), max_completion_tokens: 60, temperature: 0,
       stream_options: {include_usage: true}});
  const final = await helper.finalChatCompletion();
  assert.equal(final.choices[0].message.content, whole.choices[0].message.content);
  assert.equal(final.choices[0].finish_reason, whole.choices[0].finish_reason);
  assert.equal(final.usage.prompt_tokens, whole.usage.prompt_tokens);
  assert.equal(final.usage.completion_tokens, whole.usage.completion_tokens);
});

await check('thoughts in reasoning_content', async () => {
  const reply = await ask({reasoning_effort: 'low', max_completion_tokens: 400});
  assert.equal(reply.choices[0].message.reasoning_content, 'The user wants a plan for the day. I keep it short.');
  assert.equal(reply.choices[0].message.content, plain);
  assert.ok(reply.usage.completion_tokens_details.reasoning_tokens > 0);
  const chunks = await all(await ask({reasoning_effort: 'low', max_completion_tokens: 400, stream: true}));
  const said = (key) => chunks.map((chunk) => chunk.choices[0]?.delta[key] ?? '').join('');
  assert.equal(said('reasoning_content'), reply.choices[0].message.reasoning_content);
  assert.equal(said('content'), plain);
}, {scripted: true});

await check('n 2', async () => {
  const reply = await ask({n: 2});
  assert.deepEqual(reply.choices.map((choice) => choice.index), [0, 1]);
  const helper = client.chat.completions.stream({model: model('plain'), messages: user('Hi'), n: 2, max_completion_tokens: 40});
  assert.equal((await helper.finalChatCompletion()).choices.length, 2);
});

await check('stop, a string and a list', async () => {
  for (const stop of ['ten minutes', ['never said', 'ten minutes']]) {
    const reply = await ask({stop});
    assert.equal(reply.choices[0].message.content, plain.slice(0, plain.indexOf('ten minutes')));
    assert.equal(reply.choices[0].finish_reason, 'stop');
  }
}, {scripted: true});

await check('limits: both names, the smaller counts', async () => {
  for (const limit of [{max_completion_tokens: 2}, {max_tokens: 2, max_completion_tokens: undefined}, {max_tokens: 2, max_completion_tokens: 9}]) {
    const reply = await ask({messages: user('Tell me all about the pump, the fan and the vent.'), ...limit});
    assert.equal(reply.choices[0].finish_reason, 'length');
    assert.equal(reply.usage.completion_tokens, 2);
  }
});

await check('logprobs', async () => {
  const reply = await ask({logprobs: true, top_logprobs: 3});
  const {content} = reply.choices[0].logprobs;
  assert.ok(content.length > 3);
  for (const token of content) {
    assert.ok(Number.isFinite(token.logprob) && token.logprob <= 0);
    assert.equal(token.top_logprobs.length, 3);
    assert.ok(Array.isArray(token.bytes));
  }
  assert.equal(Buffer.from(content.flatMap((token) => token.bytes)).toString(), reply.choices[0].message.content);
});

await check('a seed repeats the answer', async () => {
  const said = async () => (await ask({seed: 5, temperature: 1, max_completion_tokens: 30})).choices[0].message.content;
  assert.equal(await said(), await said());
});

done();
