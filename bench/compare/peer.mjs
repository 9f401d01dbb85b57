// llama.cpp's side, through node-llama-cpp: times a model, or writes its logits.
//
//   node peer.mjs FOLDER REQUEST
//
// FOLDER holds node_modules. REQUEST is JSON: {"want": "speed", "model", "threads", "prompt",
// "generate", "depths"}, {"want": "batch", "model", "threads", "prompt", "generate", "sizes"} or
// {"want": "logits", "model", "threads", "ids", "out"}. The answer is one line of JSON on standard
// output.
import fs from "node:fs";
import {createRequire} from "node:module";
import {setTimeout} from "node:timers/promises";
import {pathToFileURL} from "node:url";

const BATCH = 512; // tokens of a prefill step, llama.cpp's own default
const SPARE = 256; // context beyond what is asked for, so that nothing is ever shifted out
const WARM_UP = 8; // tokens generated before those that count, where a whole round would take long

const [folder, text] = process.argv.slice(2);
const request = JSON.parse(text);
const library = createRequire(`${folder}/`).resolve("node-llama-cpp");
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(library).href);

let log = [];
const llama = await getLlama({
  gpu: false, build: "never", maxThreads: request.threads,
  logLevel: LlamaLogLevel.info, logger: (level, line) => log.push(line),
});
const opened = performance.now();
const model = await llama.loadModel({modelPath: request.model, gpuLayers: 0});
const loadMs = performance.now() - opened;

async function open(nTokens) {
  const context = await model.createContext({
    contextSize: nTokens + SPARE, batchSize: BATCH, threads: request.threads,
    flashAttention: true, performanceTracking: true,
  });
  return {context, sequence: context.getSequence({checkpoints: {interval: false}})};
}

// Ids spread over the whole vocabulary.
const size = [...model.iterateAllTokens()].length;
const ids = (n) => Array.from({length: n}, (_, i) => Math.floor(size * ((i * 0.618034) % 1)));

// Processes the tokens and picks n tokens greedily, each of which but the last is processed too.
async function evaluate(sequence, tokens, n) {
  const options = {temperature: 0, yieldEogToken: true};
  for await (const _ of sequence.evaluate(tokens, options)) if (--n === 0) break;
}

// What llama.cpp counted since the last call, in milliseconds: steps of several tokens and of one.
async function counters(context) {
  log = [];
  await context.printTimings();
  const waitUntil = performance.now() + 5000;
  while (performance.now() < waitUntil) {
    const lines = log.join("\n");
    const prefill = lines.match(/prompt eval time =\s*([\d.]+) ms/);
    const decode = lines.match(/ eval time =\s*([\d.]+) ms \/\s*\d+ runs/);
    if (prefill && decode) return {prefill: +prefill[1], decode: +decode[1]};
    await setTimeout(2);
  }
  throw new Error("llama.cpp printed no timings");
}

async function timed(context, kind, n, work) {
  await counters(context);
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const wallMs = performance.now() - start;
  const {user, system} = process.cpuUsage(cpu);
  const ms = (await counters(context))[kind]; // without picking the token and without the binding
  const cpuMs = (user + system) / 1e3 - (wallMs - ms); // those take one thread
  return {tok_s: 1e3 * n / ms, wall_tok_s: 1e3 * n / wallMs, cpu_over_wall: cpuMs / ms};
}

async function speed({prompt, generate, depths}) {
  const {context, sequence} = await open(Math.max(prompt, ...depths) + generate);
  const prefill = async () => {
    await sequence.clearHistory();
    return timed(context, "prefill", prompt, () => evaluate(sequence, ids(prompt), 1));
  };
  const decode = async (depth) => {
    await sequence.clearHistory();
    if (depth > 0) {
      await sequence.evaluateWithoutGeneratingNewTokens(ids(depth - WARM_UP));
      await evaluate(sequence, ids(1), WARM_UP);
    }
    return timed(context, "decode", generate, () => evaluate(sequence, ids(1), generate));
  };
  const rows = [];
  await prefill(); // warm up
  rows.push({kind: "prefill", n: prompt, depth: 0, ...await prefill()});
  await decode(0);
  for (const depth of [0, ...depths]) {
    rows.push({kind: "decode", n: generate, depth, ...await decode(depth)});
  }
  return {rows};
}

// So many sequences of one context at once, as a server would run them: the wall time of all of
// them, their prompts and the picking of tokens included.
async function batch({prompt, generate, sizes}) {
  const rows = [];
  for (const size of sizes) {
    const context = await model.createContext({
      sequences: size, contextSize: prompt + generate + SPARE, batchSize: BATCH,
      threads: request.threads, flashAttention: true,
    });
    const sequences = Array.from({length: size},
                                 () => context.getSequence({checkpoints: {interval: false}}));
    const round = async (n) => {
      await Promise.all(sequences.map((sequence) => sequence.clearHistory()));
      const start = performance.now();
      await Promise.all(sequences.map((sequence, i) =>
        evaluate(sequence, ids(prompt + size).slice(i, i + prompt), n)));
      return 1e3 * size * n / (performance.now() - start);
    };
    await round(WARM_UP);
    rows.push({batch: size, tok_s: await round(generate)});
    await context.dispose();
  }
  return {rows};
}

// Writes the logits after each token, f32, [ids, vocabulary].
async function logits({ids, out}) {
  const {sequence} = await open(ids.length);
  const file = fs.openSync(out, "w");
  const row = new Float32Array(size);
  const options = {temperature: 1, topK: 0, topP: 1, minP: 0};
  const wanted = ids.map((id) => [id, {generateNext: {logits: true, options}}]);
  await sequence.controlledEvaluate(wanted, {
    onTokenResult(index, {next}) {
      for (const [id, value] of next.logits) row[id] = value;
      fs.writeSync(file, row, 0, row.byteLength, index * row.byteLength);
      next.logits.clear(); // the answer keeps all maps until the end
    },
  });
  fs.closeSync(file);
  return {vocabulary: size};
}

const answer = await {speed, batch, logits}[request.want](request);
console.log(JSON.stringify({system: llama.systemInfo, load_ms: loadMs, ...answer}));
process.exit(0);
