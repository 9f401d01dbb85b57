// G4: tools.
import assert from 'node:assert/strict';

import {FunctionCallingConfigMode, Type} from '@google/genai';

import {google, parts} from './google_client.mjs';
import {all, check, done, errorOf, isScripted, model, weather} from './rows.mjs';

const ai = google();
const upper = {
  name: 'get_weather',
  description: weather.description,
  parameters: {type: Type.OBJECT, properties: {city: {type: Type.STRING}}, required: ['city']},
};
const schema = {name: 'get_weather', description: weather.description, parametersJsonSchema: weather.parameters};
const question = {role: 'user', parts: [{text: 'How warm is it in Paris?'}]};

const ask = (script, contents, config = {}) => ai.models.generateContent(
    {model: model(script), contents, config: {maxOutputTokens: 300, ...config}});
const tools = (...declarations) => [{functionDeclarations: declarations}];
const calling = (mode, allowedFunctionNames) =>
    ({functionCallingConfig: {mode, ...(allowedFunctionNames && {allowedFunctionNames})}});

for (const [form, declaration] of [['parameters', upper], ['parametersJsonSchema', schema]]) {
  await check(`${form}: a call`, async () => {
    const reply = await ask('one-call', [question], {
      tools: tools(declaration), toolConfig: calling(FunctionCallingConfigMode.ANY)});
    const [call] = reply.functionCalls;
    assert.equal(call.name, 'get_weather');
    assert.equal(typeof call.args.city, 'string');
    assert.match(call.id, /^[a-z0-9]{8,}$/);
    assert.equal(reply.candidates[0].finishReason, 'STOP');
    if (isScripted) assert.deepEqual(call.args, {city: 'Paris'});
  });
}

await check('AUTO calls, NONE does not', async () => {
  const auto = await ask('one-call', [question], {tools: tools(upper), toolConfig: calling(FunctionCallingConfigMode.AUTO)});
  assert.equal(auto.functionCalls.length, 1);
  const none = await ask('plain', [question], {tools: tools(upper), toolConfig: calling(FunctionCallingConfigMode.NONE)});
  assert.equal(none.functionCalls, undefined);
  assert.ok(none.text);
  const bare = await ask('plain', [question]);
  assert.equal(none.usageMetadata.promptTokenCount, bare.usageMetadata.promptTokenCount, 'not declared');
}, {scripted: true});

await check('allowedFunctionNames', async () => {
  const other = {name: 'get_time', description: 'Tells the time.'};
  const reply = await ask('one-call', [question], {
    tools: tools(upper, other), toolConfig: calling(FunctionCallingConfigMode.ANY, ['get_time'])});
  assert.deepEqual(reply.functionCalls.map((call) => [call.name, call.args]), [['get_time', {}]]);
  const error = await errorOf(() => ask('one-call', [question], {
    tools: tools(upper), toolConfig: calling(FunctionCallingConfigMode.ANY, ['no_such_tool'])}));
  assert.equal(error.status, 400);
});

await check('parallel calls and their results', async () => {
  const first = await ask('parallel-calls', [question], {tools: tools(upper)});
  assert.deepEqual(first.functionCalls.map((call) => call.args.city), ['Paris', 'Rome']);
  assert.notEqual(first.functionCalls[0].id, first.functionCalls[1].id);
  const results = first.functionCalls.map((call, i) => ({
    functionResponse: {id: call.id, name: call.name, response: {degrees: [21, 25][i]}}}));
  for (const contents of [
    [question, first.candidates[0].content, {role: 'user', parts: results}],
    [question, first.candidates[0].content, ...results.map((part) => ({role: 'user', parts: [part]}))],
  ]) {
    const second = await ask('parallel-calls', contents, {tools: tools(upper)});
    assert.equal(second.text, 'Paris 21, Rome 25.');
  }
}, {scripted: true});

await check('a callable tool is called until there is an answer', async () => {
  const asked = [];
  const callable = {
    tool: async () => ({functionDeclarations: [upper]}),
    callTool: async (calls) => {
      asked.push(...calls);
      return calls.map((call) => ({functionResponse: {id: call.id, name: call.name, response: {output: 21}}}));
    },
  };
  const reply = await ask('one-call', [question], {tools: [callable]});
  assert.equal(asked.length, 1);
  assert.equal(reply.text, 'It is 21 degrees in Paris.');
}, {scripted: true});

await check('a result without id', async () => {
  const first = await ask('one-call', [question], {tools: tools(upper)});
  const reply = await ask('one-call', [
    question, first.candidates[0].content,
    {role: 'user', parts: [{functionResponse: {name: 'get_weather', response: {result: 21}}}]},
  ], {tools: tools(upper)});
  assert.equal(reply.text, 'It is 21 degrees in Paris.');
}, {scripted: true});

await check('a result without a call is refused', async () => {
  const error = await errorOf(() => ask('one-call', [
    question, {role: 'user', parts: [{functionResponse: {name: 'get_weather', response: {result: 21}}}]},
  ], {tools: tools(upper)}));
  assert.equal(error.status, 400);
});

await check('thoughtSignature echoed, dropped, garbled', async () => {
  const config = {tools: tools(upper), thinkingConfig: {thinkingBudget: 100}};
  const first = await ask('one-call', [question], config);
  const said = first.candidates[0].content;
  const signed = said.parts.find((part) => part.functionCall);
  assert.ok(signed.thoughtSignature, 'a signature at the call');
  const result = {role: 'user', parts: [{functionResponse: {
    id: signed.functionCall.id, name: 'get_weather', response: {degrees: 21}}}]};
  const counts = [];
  for (const thoughtSignature of [signed.thoughtSignature, undefined, 'Z2FyYmxlZA==']) {
    const content = {...said, parts: [{functionCall: signed.functionCall, ...(thoughtSignature && {thoughtSignature})}]};
    const reply = await ask('one-call', [question, content, result], config);
    assert.equal(reply.text, 'It is 21 degrees in Paris.');
    counts.push(reply.usageMetadata.promptTokenCount);
  }
  assert.ok(counts[0] > counts[1], 'the thought is in the prompt again');
  assert.equal(counts[1], counts[2], 'a garbled one is passed over');
}, {scripted: true});

await check('a streamed call comes whole, in a chunk of its own', async () => {
  const chunks = await all(await ai.models.generateContentStream(
      {model: model('text-and-call'), contents: [question], config: {tools: tools(upper)}}));
  const calls = chunks.filter((chunk) => chunk.functionCalls);
  assert.equal(calls.length, 1);
  assert.ok(parts(calls[0]).every((part) => part.functionCall || part.text === undefined));
  assert.deepEqual(calls[0].functionCalls[0].args, {city: 'Paris'});
  assert.equal(chunks.map((chunk) => parts(chunk).map((part) => part.text ?? '').join('')).join(''), 'I look.');
}, {scripted: true});

await check('an undeclared call, and one that cannot be read', async () => {
  const undeclared = await ask('undeclared-call', [question], {tools: tools(upper)});
  const malformed = await ask('malformed-call', [question], {tools: tools(upper)});
  // Constraints do not let the model write either; without them the reason says what it was.
  for (const [reply, reason] of [[undeclared, 'UNEXPECTED_TOOL_CALL'], [malformed, 'MALFORMED_FUNCTION_CALL']]) {
    assert.ok(['STOP', reason].includes(reply.candidates[0].finishReason), reply.candidates[0].finishReason);
    assert.ok(parts(reply).length > 0);
  }
}, {scripted: true});

await check('server-side tools are refused by name', async () => {
  const error = await errorOf(() => ask('plain', [question], {tools: [{googleSearch: {}}]}));
  assert.equal(error.status, 400);
  assert.match(error.message, /googleSearch/);
});

done();
