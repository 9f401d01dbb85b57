// X1: the libraries in pages of another origin, in a headless browser: CORS of streams and uploads.
import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import http from 'node:http';
import {dirname, extname, join, normalize} from 'node:path';
import {fileURLToPath} from 'node:url';

import {chromium} from 'playwright-core';

import {base, check, done, key, model} from './rows.mjs';

const modules = join(dirname(fileURLToPath(import.meta.url)), '..', 'node_modules');
// What a bundler would resolve. p-retry is there as a CommonJS package only: without it, no retries.
const imports = {
  'openai': '/node_modules/openai/index.mjs',
  '@google/genai': '/node_modules/@google/genai/dist/web/index.mjs',
  'p-retry': '/p-retry.mjs',
};
const files = {
  '/': ['text/html', `<!doctype html><title>page</title><script type="importmap">${JSON.stringify({imports})}</script>`],
  '/p-retry.mjs': ['text/javascript', 'export default (call) => call(); export class AbortError extends Error {}'],
};

const pages = http.createServer(async (request, response) => {
  const path = normalize(new URL(request.url, 'http://x').pathname);
  try {
    const [type, text] = files[path] ?? [
      'text/javascript', await readFile(join(modules, path.slice('/node_modules/'.length)))];
    assert.ok(files[path] || ['.mjs', '.js'].includes(extname(path)));
    response.writeHead(200, {'content-type': type}).end(text);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve));
const origin = `http://localhost:${pages.address().port}`;

const browser = await chromium.launch({executablePath: '/usr/bin/chromium', args: ['--no-sandbox']});

async function inPage(body, argument) {
  const page = await browser.newPage();
  const said = [];
  page.on('console', (message) => said.push(message.text()));
  try {
    await page.goto(`${origin}/`);
    return await page.evaluate(body, argument);
  } catch (error) {
    throw new Error(`${error.message}\n${said.join('\n')}`);
  } finally {
    await page.close();
  }
}

const argument = {base, key, model: model('plain'), echo: model('echo')};
const plain = 'The pump runs at six. Then the fan turns for ten minutes, and the vent stays open until noon.';

await check('the OpenAI library streams a chat', async () => {
  const said = await inPage(async ({base: url, key: apiKey, model: name}) => {
    const {default: OpenAI} = await import('openai');
    const client = new OpenAI({baseURL: `${url}/v1`, apiKey, dangerouslyAllowBrowser: true});
    let text = '';
    for await (const chunk of await client.chat.completions.create(
        {model: name, messages: [{role: 'user', content: 'Hi'}], stream: true})) {
      text += chunk.choices[0]?.delta.content ?? '';
    }
    return text;
  }, argument);
  assert.equal(said, plain);
}, {scripted: true});

await check('the Google library streams a chat and uploads a file', async () => {
  const said = await inPage(async ({base: baseUrl, key: apiKey, model: name, echo}) => {
    const {GoogleGenAI} = await import('@google/genai');
    const ai = new GoogleGenAI({apiKey, httpOptions: {baseUrl}});
    let text = '';
    for await (const chunk of await ai.models.generateContentStream({model: name, contents: 'Hi'})) text += chunk.text ?? '';
    const file = await ai.files.upload({file: new Blob(['Zone three.'], {type: 'text/plain'})});
    const reply = await ai.models.generateContent({model: echo, contents: [{role: 'user', parts: [
      {fileData: {fileUri: file.uri, mimeType: 'text/plain'}}]}]});
    await ai.files.delete({name: file.name});
    return [text, reply.text];
  }, argument);
  assert.deepEqual(said, [plain, 'Zone three.']);
}, {scripted: true});

await check('errors can be read, too', async () => {
  const status = await inPage(async ({base: url, key: apiKey}) => {
    const {default: OpenAI} = await import('openai');
    const client = new OpenAI({baseURL: `${url}/v1`, apiKey, dangerouslyAllowBrowser: true, maxRetries: 0});
    try {
      await client.chat.completions.create({model: 'nobody', messages: [{role: 'user', content: 'Hi'}]});
    } catch (error) {
      return [error.status, error.requestID?.length > 0];
    }
    return null;
  }, argument);
  assert.deepEqual(status, [404, true]);
});

await browser.close();
pages.close();
done();
