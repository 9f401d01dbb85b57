// G8: cached contents.
import assert from 'node:assert/strict';

import {google} from './google_client.mjs';
import {check, done, errorOf, isScripted, model} from './rows.mjs';

const ai = google();
const long = 'The pump of zone three runs at six. '.repeat(40);

await check('create, get, list, update, use, delete', async () => {
  const cache = await ai.caches.create({
    model: model('echo'),
    config: {contents: [{role: 'user', parts: [{text: long}]}], systemInstruction: 'Be short.',
             displayName: 'rules', ttl: '300s'}});
  assert.match(cache.name, /^cachedContents\/[a-z0-9]+$/);
  assert.equal(cache.displayName, 'rules');
  assert.ok(cache.usageMetadata.totalTokenCount > 200);

  const got = await ai.caches.get({name: cache.name});
  assert.equal(got.expireTime, cache.expireTime);
  const names = [];
  for await (const item of await ai.caches.list({config: {pageSize: 1}})) names.push(item.name);
  assert.ok(names.includes(cache.name));
  const later = await ai.caches.update({name: cache.name, config: {ttl: '900s'}});
  assert.ok(Date.parse(later.expireTime) > Date.parse(cache.expireTime));

  const reply = await ai.models.generateContent({
    model: model('echo'), contents: 'When?', config: {cachedContent: cache.name, maxOutputTokens: 40}});
  const usage = reply.usageMetadata;
  assert.ok(usage.cachedContentTokenCount > 200, JSON.stringify(usage));
  assert.ok(usage.promptTokenCount > usage.cachedContentTokenCount);

  const other = await errorOf(() => ai.models.generateContent({
    model: model('echo'), contents: 'When?', config: {cachedContent: cache.name, systemInstruction: 'No.'}}));
  assert.equal(other.status, 400);
  if (isScripted) {
    const foreign = await errorOf(() => ai.models.generateContent({
      model: model('plain'), contents: 'When?', config: {cachedContent: cache.name}}));
    assert.equal(foreign.status, 400);
  }

  await ai.caches.delete({name: cache.name});
  assert.equal((await errorOf(() => ai.caches.get({name: cache.name}))).status, 404);
  const gone = await errorOf(() => ai.models.generateContent({
    model: model('echo'), contents: 'When?', config: {cachedContent: cache.name}}));
  assert.equal(gone.status, 404);
});

await check('lower-case types of tools in a cache', async () => {
  const cache = await ai.caches.create({
    model: model('one-call'),
    config: {contents: [{role: 'user', parts: [{text: long}]}], tools: [{functionDeclarations: [
      {name: 'get_weather', description: 'Weather.',
       parameters: {type: 'object', properties: {city: {type: 'string'}}}}]}]}});
  const reply = await ai.models.generateContent({
    model: model('one-call'), contents: 'How warm is it?', config: {cachedContent: cache.name}});
  if (isScripted) assert.equal(reply.functionCalls[0].name, 'get_weather');
  await ai.caches.delete({name: cache.name});
});

await check('a model nobody knows', async () => {
  const error = await errorOf(() => ai.caches.create({model: 'nobody', config: {contents: 'Hi'}}));
  assert.equal(error.status, 404);
});

done();
