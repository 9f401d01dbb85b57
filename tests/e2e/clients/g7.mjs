// G7: files.
import assert from 'node:assert/strict';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import http from 'node:http';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import {google} from './google_client.mjs';
import {base, check, done, errorOf, isScripted, model} from './rows.mjs';

const folder = mkdtempSync(join(tmpdir(), 'fourfold-g7-'));
const text = 'The tomatoes stand in zone three.\n';
const path = join(folder, 'notes.txt');
writeFileSync(path, text);

async function names(ai) {
  const found = [];
  for await (const file of await ai.files.list({config: {pageSize: 2}})) found.push(file.name);
  return found;
}

async function roundTrip(ai) {
  const file = await ai.files.upload({file: path, config: {mimeType: 'text/plain', displayName: 'notes'}});
  assert.match(file.name, /^files\/[a-z0-9]{12}$/);
  assert.equal(file.mimeType, 'text/plain');
  assert.equal(Number(file.sizeBytes), text.length);
  assert.equal(file.displayName, 'notes');
  assert.equal(file.state, 'ACTIVE');
  assert.equal(file.source, 'UPLOADED');
  assert.ok(Date.parse(file.expirationTime) > Date.parse(file.createTime));
  assert.ok(file.uri.endsWith(`/v1beta/${file.name}`), file.uri);
  assert.ok((await names(ai)).includes(file.name));
  for (const name of [file.name, file.name.slice('files/'.length), file.uri]) {
    assert.equal((await ai.files.get({name})).name, file.name);
  }
  const reply = await ai.models.generateContent({
    model: model('echo'), config: {maxOutputTokens: 100},
    contents: [{role: 'user', parts: [{fileData: {fileUri: file.uri, mimeType: 'text/plain'}}, {text: 'Where?'}]}]});
  if (isScripted) assert.match(reply.text, /tomatoes stand in zone three/);
  await ai.files.delete({name: file.name});
  assert.equal((await errorOf(() => ai.files.get({name: file.name}))).status, 404);
  assert.ok(!(await names(ai)).includes(file.name));
}

await check('upload from a path, list, get, use, delete', () => roundTrip(google()));

await check('upload of a Blob', async () => {
  const ai = google();
  const file = await ai.files.upload({file: new Blob([text], {type: 'text/plain'})});
  assert.equal(Number(file.sizeBytes), text.length);
  await ai.files.delete({name: file.name});
});

await check('9 MB go in two chunks', async () => {
  const ai = google();
  const size = 9 * 1024 * 1024 + 17;
  const file = await ai.files.upload({file: new Blob([new Uint8Array(size).fill(97)], {type: 'text/plain'})});
  assert.equal(Number(file.sizeBytes), size);
  assert.ok(file.sha256Hash);
  await ai.files.delete({name: file.name});
});

await check('a name of one\'s own, once', async () => {
  const ai = google();
  const name = `files/my-notes-${process.pid}`;
  const file = await ai.files.upload({file: path, config: {name, mimeType: 'text/plain'}});
  assert.equal(file.name, name);
  const again = await errorOf(() => ai.files.upload({file: path, config: {name, mimeType: 'text/plain'}}));
  assert.match(String(again.status ?? again.message), /409/);
  await ai.files.delete({name});
});

// A proxy that serves the server under /fourfold/, and says so.
async function withProxy(body) {
  const target = new URL(base);
  const prefix = '/fourfold';
  const proxy = http.createServer((request, response) => {
    const onward = http.request({
      host: target.hostname, port: target.port, method: request.method,
      path: request.url.startsWith(prefix) ? request.url.slice(prefix.length) : request.url,
      headers: {...request.headers, 'x-forwarded-host': request.headers.host,
                'x-forwarded-proto': 'http', 'x-forwarded-prefix': prefix},
    }, (reply) => {
      response.writeHead(reply.statusCode, reply.headers);
      reply.pipe(response);
    });
    request.pipe(onward);
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  try {
    await body(`http://127.0.0.1:${proxy.address().port}${prefix}`);
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
}

await check('behind a proxy with a path of its own', () => withProxy((url) => roundTrip(google(url))));

await check('a file that is not there', async () => {
  const error = await errorOf(() => google().models.generateContent({
    model: model('plain'),
    contents: [{role: 'user', parts: [{fileData: {fileUri: `${base}/v1beta/files/zzzzzzzzzzzz`, mimeType: 'text/plain'}}]}]}));
  assert.equal(error.status, 404);
});

rmSync(folder, {recursive: true});
done();
