// What the rows in JavaScript share. A row is started with base URL and key and does its checks one
// after the other; each fails on its own:
//
//   import {check, done, model, base} from './rows.mjs';
//   await check('lists its models', async () => { … assert … });
//   done();
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';

export const [base, key] = process.argv.slice(2);
if (!base) {
  console.error('usage: ROW BASE_URL KEY');
  process.exit(2);
}

// Scripted models are there under names of their own; elsewhere the default body answers.
const {models} = await (await fetch(`${base}/api/tags`)).json();
const listed = models.map((item) => item.name.replace(/:latest$/, ''));
export const isScripted = listed.some((id) => id.startsWith('scripted/'));
export const model = (script) => (isScripted ? `scripted/${script}` : listed[0]);

// A file of ../media, which lie beside the rows where they run.
export const medium = (name) => readFileSync(new URL(`./${name}`, import.meta.url));
// What scripted/sees says, whatever it sees.
export const seenAnswer = 'A pump beside a bed of mint.';

let nFailed = 0;

export async function check(name, body, {scripted = false, live = false} = {}) {
  if ((scripted && !isScripted) || (live && isScripted)) return;
  try {
    await within(60_000, body());
    console.log(`ok      ${name}`);
  } catch (error) {
    nFailed += 1;
    console.log(`FAILED  ${name}\n${indent(describe(error))}`);
  }
}

export function done() {
  process.exit(nFailed ? 1 : 0);
}

function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function describe(error) {
  const cause = error?.cause ? `\ncause: ${error.cause}` : '';
  return `${error?.stack ?? JSON.stringify(error)}${cause}`;
}

const indent = (text) => text.split('\n').slice(0, 14).map((line) => `        ${line}`).join('\n');

// The error that this throws.
export async function errorOf(body) {
  try {
    await body();
  } catch (error) {
    return error;
  }
  assert.fail('no error');
}

export async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Until the server runs nothing more; the time it took in ms.
export async function untilIdle(most_ms) {
  const begin = performance.now();
  for (;;) {
    const text = await (await fetch(`${base}/metrics`)).text();
    const running = [...text.matchAll(/^fourfold_requests_running(?:\{.*scripted\/slow".*\})? (\S+)$/gm)];
    assert.ok(running.length > 0, `no fourfold_requests_running in /metrics:\n${text.slice(0, 500)}`);
    if (running.every(([, value]) => Number(value) === 0)) return performance.now() - begin;
    assert.ok(performance.now() - begin < most_ms, `still running after ${most_ms} ms`);
    await sleep(20);
  }
}

export const weather = {
  name: 'get_weather',
  description: 'Tells the weather of a city.',
  parameters: {
    type: 'object',
    properties: {city: {type: 'string', description: 'Its name'}},
    required: ['city'],
  },
};
