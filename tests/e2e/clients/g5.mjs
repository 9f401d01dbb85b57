// G5: structured output.
import assert from 'node:assert/strict';

import {Type} from '@google/genai';
import {z} from 'zod';

import {google} from './google_client.mjs';
import {check, done, errorOf, isScripted, model} from './rows.mjs';

const ai = google();
const ask = async (script, config) => (await ai.models.generateContent(
    {model: model(script), contents: 'Who keeps the plants?', config: {maxOutputTokens: 600, ...config}})).text;

const person = z.object({name: z.string(), age: z.number().int()});
const upper = {
  type: Type.OBJECT,
  properties: {name: {type: Type.STRING}, age: {type: Type.INTEGER}},
  required: ['name', 'age'],
  propertyOrdering: ['name', 'age'],
};

for (const [thinking, thinkingConfig] of [
  ['without thinking', {thinkingBudget: 0}], ['with thinking', {thinkingBudget: 200}]]) {
  await check(`responseSchema ${thinking}`, async () => {
    const text = await ask('schema', {responseMimeType: 'application/json', responseSchema: upper, thinkingConfig});
    const value = person.parse(JSON.parse(text));
    assert.deepEqual(Object.keys(value), ['name', 'age']);
    if (isScripted) assert.deepEqual(value, {name: 'Ada', age: 36});
  });

  await check(`responseJsonSchema from zod ${thinking}`, async () => {
    const text = await ask('schema', {
      responseMimeType: 'application/json', responseJsonSchema: z.toJSONSchema(person), thinkingConfig});
    person.parse(JSON.parse(text));
  });

  await check(`text/x.enum ${thinking}`, async () => {
    const text = await ask('enum', {
      responseMimeType: 'text/x.enum',
      responseSchema: {type: Type.STRING, enum: ['red', 'green']}, thinkingConfig});
    assert.ok(['red', 'green'].includes(text), text);
    if (isScripted) assert.equal(text, 'green');
  });

  await check(`JSON of any form ${thinking}`, async () => {
    JSON.parse(await ask('schema', {responseMimeType: 'application/json', thinkingConfig}));
  }, {scripted: true});
}

await check('an answer that wants to be something else is still JSON of the schema', async () => {
  const text = await ask('plain', {responseMimeType: 'application/json', responseSchema: upper});
  person.parse(JSON.parse(text));
}, {scripted: true});

await check('both schemas are refused', async () => {
  const error = await errorOf(() => ask('schema', {
    responseMimeType: 'application/json', responseSchema: upper, responseJsonSchema: z.toJSONSchema(person)}));
  assert.equal(error.status, 400);
});

done();
