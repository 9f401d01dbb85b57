// The chat page in a real browser. run_browser.py starts it:
//
//   node browser_test.mjs MODULES SCRIPTED LIVE PICTURES
//
// MODULES is the node_modules folder of package-lock.json. SCRIPTED and LIVE are addresses of
// servers, one with the models of tests/cases/server, one with the keeper. Screenshots go into
// PICTURES, to be looked at by a person. Each test has a browser profile of its own.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, beforeEach, afterEach, test } from 'node:test';

const [modules, scripted, live, pictures] = process.argv.slice(2);
const { chromium } = createRequire(path.resolve(modules, 'packages.js'))('playwright-core');
const kChromium = process.env.CHROMIUM ?? '/usr/bin/chromium';
const kServers = [scripted, live].map((address) => new URL(address).origin);
const kPatience = 60_000; // milliseconds for anything to appear

let browser;
let context;
let page;
let complaints; // of the page: errors, refused addresses, requests to other hosts

before(async () => {
  mkdirSync(pictures, { recursive: true });
  // Its microphone hears beeps and asks nobody.
  const args = [
    '--no-sandbox',
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
  ];
  browser = await chromium.launch({ executablePath: kChromium, args });
});
after(() => browser?.close());

async function openPage(options = {}) {
  context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(kPatience);
  page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith('http') && !kServers.includes(origin)) {
      complaints.push(`asked ${request.url()}`);
    }
  });
  await page.goto(scripted);
}

beforeEach(async () => {
  complaints = [];
  await openPage();
});
afterEach(async () => {
  await context.close();
  assert.deepEqual(complaints, []);
});

// ---- what a reader does

async function chooseModel(name) {
  await page.locator('.picker-button').click();
  await page
    .getByRole('menuitemradio')
    .filter({ has: page.locator('b', { hasText: new RegExp(`^${name}$`) }) })
    .click();
  await page.locator('.picker-button', { hasText: name }).waitFor();
}

async function send(text) {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
}

const answers = () => page.getByRole('article', { name: 'Answer', exact: true });
const lastAnswer = () => answers().last();

// Waits until the last answer has ended.
async function ended() {
  await page.getByLabel('Send', { exact: true }).waitFor();
  await page.locator('.answer[aria-busy=false]').last().waitFor();
}

async function say(model, text) {
  await chooseModel(model);
  await send(text);
  await ended();
}

async function openSettings() {
  await page.getByLabel(/^Settings \(/).click();
  return page.getByRole('complementary', { name: 'Settings' });
}

async function photograph(name) {
  await page.screenshot({ path: path.join(pictures, `${name}.png`) });
}

// A picture of one pixel.
const kDot =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

// ---- tests

test('an answer streams in and says what it took', async () => {
  await say('scripted/plain', 'What happens today?');
  assert.match(await lastAnswer().locator('.markdown').innerText(), /The pump runs at six/);
  assert.match(await lastAnswer().locator('.facts').innerText(), /\d+ tokens.*prompt \d+/);
  assert.equal(await lastAnswer().locator('.thought').count(), 0);
});

test('a conversation remembers', async () => {
  await say('scripted/memory', 'I am Ada');
  await send('Who am I?');
  await ended();
  assert.equal(await lastAnswer().locator('.markdown').innerText(), 'You are Ada.');
});

test('a thought is shown, counted against its budget, and folds', async () => {
  const settings = await openSettings();
  await settings.getByRole('button', { name: 'Budget' }).click();
  await settings.getByLabel('At most so many tokens').fill('256');
  await say('scripted/plain', 'What happens today?');
  const head = lastAnswer().locator('.thought-head');
  assert.match(await head.innerText(), /Thought for .*\d+ of 256 tokens/s);
  assert.equal(await head.getAttribute('aria-expanded'), 'false');
  await head.click();
  assert.match(await lastAnswer().locator('.thought-text').innerText(), /plan for the day/);
  await photograph('thought');
});

test('calls wait for results, which the reader gives', async () => {
  const settings = await openSettings();
  await settings
    .locator('[name=tools]')
    .fill(
      '[{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}]',
    );
  await say('scripted/parallel-calls', 'Weather in Paris and Rome?');
  assert.equal(await lastAnswer().locator('.call').count(), 2);
  assert.match(
    await lastAnswer().locator('.call').first().innerText(),
    /get_weather[\s\S]*"city": "Paris"/,
  );
  const fields = lastAnswer().locator('.results textarea');
  await fields.nth(0).fill('{"degrees": 21}');
  await fields.nth(1).fill('{"degrees": 25}');
  await photograph('calls');
  await page.keyboard.press('Control+Enter');
  await page.locator('.message.tool').waitFor();
  await ended();
  assert.equal(await lastAnswer().locator('.markdown').innerText(), 'Paris 21, Rome 25.');
});

test('a tool list that is no JSON is pointed out', async () => {
  const settings = await openSettings();
  await settings.locator('[name=tools]').fill('[{]');
  assert.notEqual(await settings.locator('.problem').innerText(), '');
});

test('an answer to a schema is held against it', async () => {
  const settings = await openSettings();
  await settings.getByRole('button', { name: 'Schema' }).click();
  const schema = {
    type: 'object',
    properties: { name: { type: 'string' }, age: { type: 'integer' } },
    required: ['name', 'age'],
  };
  await settings.locator('[name=schema]').fill(JSON.stringify(schema));
  await say('scripted/schema', 'Who?');
  assert.deepEqual(JSON.parse(await lastAnswer().locator('pre').innerText()), {
    name: 'Ada',
    age: 36,
  });
  assert.match(await lastAnswer().locator('.verdict.is-good').innerText(), /matches the schema/);
  await photograph('schema');
});

test('Escape stops an answer and keeps what was said', async () => {
  await chooseModel('scripted/slow');
  await send('Count');
  await lastAnswer().locator('.markdown').waitFor();
  await page.keyboard.press('Escape');
  await ended();
  assert.match(await lastAnswer().locator('.facts').innerText(), /Stopped/);
  const said = await lastAnswer().locator('.markdown').innerText();
  await page.waitForTimeout(500);
  assert.equal(await lastAnswer().locator('.markdown').innerText(), said);
});

test('answering again makes a branch, and both can be seen', async () => {
  await say('scripted/plain', 'What happens today?');
  await lastAnswer()
    .getByLabel(/^Answer again/)
    .click();
  await lastAnswer().locator('.branches', { hasText: '2/2' }).waitFor();
  await ended();
  await lastAnswer().getByLabel('Branch before').click();
  await lastAnswer().locator('.branches', { hasText: '1/2' }).waitFor();
});

test('another wording makes a branch too', async () => {
  await say('scripted/memory', 'Who am I?');
  assert.equal(await lastAnswer().locator('.markdown').innerText(), 'I do not know.');
  await page.locator('.question').hover();
  await page.getByLabel(/^Edit, as another branch/).click();
  await page.getByLabel('Edit the message').fill('I am Ada');
  await page.keyboard.press('Enter');
  await page.locator('.question .branches', { hasText: '2/2' }).waitFor();
  await ended();
  assert.equal(await lastAnswer().locator('.markdown').innerText(), 'Good day, Ada.');
});

test('conversations survive a reload, and an answer that was cut is said to be', async () => {
  await say('scripted/plain', 'The first one');
  await page.keyboard.press('Control+Shift+O');
  await chooseModel('scripted/slow');
  await send('The second one');
  await lastAnswer().locator('.markdown', { hasText: '5' }).waitFor();
  await page.waitForTimeout(1500); // a running answer is kept once a second
  await page.reload();
  await lastAnswer().locator('.markdown').waitFor();
  assert.match(
    await lastAnswer().locator('.facts').innerText(),
    /The connection ended before the answer did/,
  );
  await page.getByRole('button', { name: 'The first one', exact: true }).click();
  await lastAnswer().locator('.markdown', { hasText: 'The pump runs at six' }).waitFor();
});

test('a conversation can be renamed, and deleted with a way back', async () => {
  await say('scripted/plain', 'Old name');
  await page.getByLabel('Rename Old name').click();
  await page.getByLabel('Name of the conversation').fill('New name');
  await page.keyboard.press('Enter');
  await page.getByLabel('Delete New name').click();
  await page.locator('.entry', { hasText: 'New name' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.locator('.entry', { hasText: 'New name' }).waitFor();
  await answers().waitFor();
});

test('the trace shows every token with what else was weighed', async () => {
  await say('scripted/plain', 'What happens today?');
  await lastAnswer()
    .getByLabel(/^Trace/)
    .click();
  const tokens = lastAnswer().locator('.token');
  assert.match((await tokens.allInnerTexts()).join(''), /The pump runs at six/);
  await tokens.nth(3).click();
  assert.match(
    await lastAnswer().locator('.token-card').innerText(),
    /token 4, answer · .*%.*bits/,
  );
  assert.ok((await lastAnswer().locator('.token-card li').count()) > 1);
  await page.keyboard.press('ArrowRight');
  assert.match(await lastAnswer().locator('.token-card').innerText(), /token 5/);
  await lastAnswer().getByRole('button', { name: 'Entropy' }).click();
  await photograph('trace');
});

test('an error of the server is shown with a way on', async () => {
  await chooseModel('scripted/fails');
  await send('Go');
  await lastAnswer().getByRole('alert').waitFor();
  assert.notEqual(await lastAnswer().getByRole('alert').innerText(), '');
  assert.match(await lastAnswer().locator('.markdown').innerText(), /One two/);
  await lastAnswer().getByRole('button', { name: 'Try again' }).click();
  await lastAnswer().locator('.branches', { hasText: '2/2' }).waitFor();
  await lastAnswer().getByRole('alert').waitFor();
});

test('what the model says is text: it runs nothing and fetches nothing', async () => {
  await page.route('**/v1/chat/completions', (route) => {
    const content =
      '<img src="https://example.org/a.png" onerror="alert(1)"> ![x](https://example.org/b.png) [y](javascript:alert(2)) <script>alert(3)</script>';
    const chunk = { choices: [{ index: 0, delta: { content }, finish_reason: 'stop' }] };
    route.fulfill({
      contentType: 'text/event-stream',
      body: `data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`,
    });
  });
  await send('Try');
  await ended();
  const text = lastAnswer().locator('.markdown');
  assert.match(await text.innerText(), /onerror/);
  assert.equal(await text.locator('img, script, [onerror], a[href^=javascript]').count(), 0);
});

test('media that the model cannot take are refused with the reason', async () => {
  await chooseModel('scripted/plain');
  const button = page.getByLabel(/^Attach a picture/);
  assert.ok(await button.isDisabled());
  assert.match(await button.getAttribute('title'), /without eyes/);
  assert.match(await page.locator('.hint').innerText(), /takes text only/);
});

test('a model with eyes gets a picture, and says what it saw', async () => {
  await chooseModel('scripted/sees');
  const choosing = page.waitForEvent('filechooser');
  await page.getByLabel('Attach a picture', { exact: true }).click();
  const png = Buffer.from(kDot, 'base64');
  await (await choosing).setFiles({ name: 'dot.png', mimeType: 'image/png', buffer: png });
  await page.getByRole('img', { name: 'dot.png' }).waitFor();
  await send('What is this?');
  await ended();
  await page.getByText('A pump beside a bed of mint.').waitFor();
  const seen = page.getByRole('list', { name: 'What was seen' }).getByRole('listitem');
  assert.match(await seen.innerText(), /^image: 1x1 seen as 768x768, 258 tokens/);
  await photograph('picture');
});

test('media go along where the model takes them', async () => {
  await page.route('**/api/tags', async (route) => {
    const reply = await route.fetch();
    const list = await reply.json();
    for (const model of list.models) model.capabilities.push('vision', 'audio');
    await route.fulfill({ json: list });
  });
  let sent;
  await page.route('**/v1/chat/completions', (route) => {
    sent = route.request().postDataJSON();
    const chunk = { choices: [{ index: 0, delta: { content: 'A dot.' }, finish_reason: 'stop' }] };
    route.fulfill({
      contentType: 'text/event-stream',
      headers: { 'x-media-seen': 'image: 1x1 seen as 384x384, 66 tokens; audio: 1.4 s, 37 tokens' },
      body: `data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`,
    });
  });
  await page.reload();
  const choosing = page.waitForEvent('filechooser');
  await page.getByLabel('Attach a picture', { exact: true }).click();
  const png = Buffer.from(kDot, 'base64');
  await (await choosing).setFiles({ name: 'dot.png', mimeType: 'image/png', buffer: png });
  await page.getByRole('img', { name: 'dot.png' }).waitFor();
  await page.getByLabel('Record', { exact: true }).click();
  await page.getByLabel('End the recording').waitFor();
  await page.waitForTimeout(1500);
  await page.getByLabel('End the recording').click();
  await page.locator('.composer audio').waitFor();
  await send('What is this?');
  await ended();
  const [picture, sound, text] = sent.messages[0].content;
  assert.equal(picture.image_url.url, `data:image/png;base64,${kDot}`);
  assert.equal(sound.input_audio.format, 'wav');
  const wav = Buffer.from(sound.input_audio.data, 'base64');
  assert.equal(wav.toString('latin1', 0, 4), 'RIFF');
  assert.ok(wav.length > 16000 * 0.1 * 2, `${wav.length} bytes of sound`);
  assert.deepEqual(text, { type: 'text', text: 'What is this?' });
  const seen = page.getByRole('list', { name: 'What was seen' }).getByRole('listitem');
  await seen.nth(1).waitFor();
  assert.equal(await seen.count(), 2);
  assert.match(await seen.nth(1).innerText(), /^audio: 1\.4 s/);
});

test('a server that wants a key is given one', async () => {
  await page.route(/\/api\//, (route) => {
    if (route.request().headers().authorization === 'Bearer secret') return route.continue();
    return route.fulfill({ status: 401, json: { error: 'unauthorized' } });
  });
  await page.reload();
  await page.getByRole('button', { name: 'Enter a key' }).click();
  await page.locator('[name=key]').fill('secret');
  await page.keyboard.press('Enter');
  await page.locator('.banner').waitFor({ state: 'detached' });
  complaints = complaints.filter((text) => !text.includes('401'));
});

test('it can be used by keyboard alone', async () => {
  await page.locator('body').click();
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'detached' });
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('/');
  await page.keyboard.type('Hello');
  assert.equal(await page.getByLabel('Message', { exact: true }).inputValue(), 'Hello');
  await page.keyboard.press('Control+b');
  assert.equal(await page.getByRole('navigation').count(), 0);
});

test('it is light, dark and narrow', async () => {
  await say('scripted/plain', 'What happens today?');
  await photograph('light');
  await page.emulateMedia({ colorScheme: 'dark' });
  const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.ok(
    paper.match(/\d+/g).every((value) => Number(value) < 64),
    paper,
  );
  await photograph('dark');
  await page.setViewportSize({ width: 360, height: 740 });
  await page.reload();
  await answers().waitFor();
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${overflow} px too wide`);
  await photograph('narrow-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await photograph('narrow-light');
  await page.getByLabel(/^Conversations/).click();
  await page.getByRole('navigation').waitFor();
  await photograph('narrow-list');
});

// ---- with a real model

const kKeeperTool = {
  name: 'read_sensor',
  description: 'Reads a sensor in a zone of the greenhouse.',
  parameters: {
    type: 'object',
    properties: {
      zone: { type: 'string', description: 'Name of the zone' },
      quantity: {
        type: 'string',
        description: 'What to read',
        enum: ['temperature', 'humidity', 'soil', 'light', 'co2'],
      },
    },
    required: ['zone', 'quantity'],
  },
};

async function beGreedy(settings) {
  await settings.locator('[name=temperature]').fill('0');
  await settings.locator('[name=max_tokens]').fill('200');
}

test('the keeper answers, and its tokens have probabilities', async () => {
  await page.goto(live);
  await beGreedy(await openSettings());
  await send('Does mint like the sun?');
  await ended();
  assert.notEqual(await lastAnswer().locator('.markdown').innerText(), '');
  await lastAnswer()
    .getByLabel(/^Trace/)
    .click();
  assert.match(await lastAnswer().locator('.trace').innerText(), /perplexity [1-9]\d*\.\d\d/);
  await photograph('keeper-trace');
});

test('the keeper thinks, calls its tool and uses what it gave', async () => {
  await page.goto(live);
  const settings = await openSettings();
  await beGreedy(settings);
  await settings.locator('[name=tools]').fill(JSON.stringify([kKeeperTool]));
  await page.getByRole('button', { name: 'Think', exact: true }).click();
  await send('What is the temperature in the fern bed?');
  await ended();
  assert.match(await lastAnswer().locator('.call').innerText(), /read_sensor/);
  await lastAnswer().locator('.results textarea').fill('{"value": 21, "unit": "C"}');
  await lastAnswer().getByRole('button', { name: 'Send result' }).click();
  await page.locator('.message.tool').waitFor();
  await ended();
  assert.match(await lastAnswer().innerText(), /21/);
  await photograph('keeper-call');
});

test('the keeper keeps to a schema', async () => {
  await page.goto(live);
  const settings = await openSettings();
  await beGreedy(settings);
  await settings.getByRole('button', { name: 'Schema' }).click();
  await settings.locator('[name=schema]').waitFor();  // its example stands before that of the tools
  await settings.getByRole('button', { name: 'Use an example' }).first().click();
  await send('The fern bed is at 21 degrees.');
  await ended();
  await lastAnswer().locator('.verdict.is-good').waitFor();
  await photograph('keeper-schema');
});
