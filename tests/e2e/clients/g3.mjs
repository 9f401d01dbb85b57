// G3: chats remember.
import assert from 'node:assert/strict';

import {google} from './google_client.mjs';
import {all, check, done, isScripted, model} from './rows.mjs';

const ai = google();
const turns = ['I am Ada.', 'Is the fan on?', 'Who am I?'];

async function talk(say, config = {}) {
  const chat = ai.chats.create({model: model('memory'), config: {maxOutputTokens: 200, ...config}});
  const answers = [];
  let length = 0;
  for (const message of turns) {
    answers.push(await say(chat, message));
    const history = chat.getHistory(true);
    assert.ok(history.length >= length + 2, `history of ${history.length} after ${length}`);
    assert.equal(history.at(-1).role, 'model');
    length = history.length;
  }
  if (isScripted) assert.deepEqual(answers, ['Good day, Ada.', 'The fan is on.', 'You are Ada.']);
}

const whole = async (chat, message) => (await chat.sendMessage({message})).text;
const streamed = async (chat, message) =>
    (await all(await chat.sendMessageStream({message}))).map((chunk) => chunk.text ?? '').join('');

await check('sendMessage three times', () => talk(whole));
await check('sendMessageStream three times', () => talk(streamed));
await check('whole, thinking', () => talk(whole, {thinkingConfig: {includeThoughts: true}}));
await check('streamed, thinking', () => talk(streamed, {thinkingConfig: {includeThoughts: true}}));
await check('streamed, thinking unseen', () => talk(streamed, {thinkingConfig: {thinkingBudget: 100}}));

done();
