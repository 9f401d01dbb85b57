// The state of the page and everything that can be done with it. Views show the state and call
// these methods; they are told of changes at most once a frame.
import { downloadJson } from './browser/download.js';
import { getJson, postJson, streamChat } from './browser/client.js';
import { loadPreferences, savePreferences, showTheme } from './browser/preferences.js';
import { Store } from './browser/store.js';
import { applyChunk, endAnswer, failAnswer, makeAnswer, seenItems } from './core/answer.js';
import { modelList } from './core/models.js';
import { chatRequest, defaultSettings } from './core/request.js';
import {
  addNode,
  copyPath,
  makeConversation,
  pathTo,
  switchBranch,
  titleOf,
  visiblePath,
} from './core/tree.js';

const kSaveEvery = 1000; // milliseconds, while an answer comes
const kSaveSoon = 300;
const kRetryModels = 2000;

export class Chat {
  preferences = loadPreferences();
  summaries = []; // of the stored conversations, newest first
  conversation = null; // the one that is shown
  models = [];
  modelsError = null; // { message, status }
  notice = null; // { text, undo? }

  #store = new Store();
  #running = new Map(); // id of a conversation → { conversation, answer, abort }
  #listeners = new Set();
  #frame = 0;
  #noticeTimer = 0;
  #saved = 0; // when
  #savingSoon = 0; // timer
  #keeps = true; // false once the browser has failed to

  async start() {
    showTheme(this.preferences.theme);
    this.#startAfresh();
    try {
      this.summaries = await this.#store.summaries();
      if (this.preferences.last) await this.open(this.preferences.last);
    } catch {
      this.#keeps = false;
      this.say('This browser keeps no conversations: they last until the page is closed.');
    }
    this.#changed();
    await this.refreshModels();
  }

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#listeners.forEach((listener) => listener());
    });
  }

  // ---- models

  async refreshModels() {
    try {
      const [tags, loaded] = await Promise.all([
        getJson('api/tags', this.preferences.key),
        getJson('api/ps', this.preferences.key),
      ]);
      this.models = modelList(tags, loaded);
      this.modelsError = null;
    } catch (error) {
      this.modelsError = { message: error.message, status: error.status ?? 0 };
      // A server that starts or restarts is asked again; a refused key waits for another.
      if (![401, 403].includes(error.status)) setTimeout(() => this.refreshModels(), kRetryModels);
    }
    this.#changed();
  }

  // The model of the conversation, or the first one there is.
  model() {
    const { model } = this.settings();
    return this.models.find((entry) => entry.name === model) ?? this.models[0] ?? null;
  }

  async unloadModel(name) {
    try {
      await postJson(
        'api/generate',
        { model: name, keep_alive: 0, stream: false },
        this.preferences.key,
      );
    } catch (error) {
      this.say(`${name} could not be unloaded: ${error.message}`);
    }
    await this.refreshModels();
  }

  // ---- preferences and settings

  prefer(change) {
    Object.assign(this.preferences, change);
    savePreferences(this.preferences);
    showTheme(this.preferences.theme);
    if ('key' in change) this.refreshModels();
    this.#changed();
  }

  settings() {
    return this.conversation.settings;
  }

  // Of this conversation and of those that are started after it.
  set(change) {
    Object.assign(this.conversation.settings, change);
    this.preferences.settings = this.conversation.settings;
    savePreferences(this.preferences);
    if (this.isStored()) this.#saveSoon();
    this.#changed();
  }

  // ---- the list of conversations

  #startAfresh() {
    this.conversation = makeConversation({
      ...defaultSettings(),
      ...structuredClone(this.preferences.settings ?? {}),
    });
  }

  isStored() {
    return this.summaries.some((entry) => entry.id === this.conversation.id);
  }

  startNew() {
    this.#startAfresh();
    this.prefer({ last: null });
  }

  async open(id) {
    const conversation = await this.#find(id);
    if (!conversation) return;
    if (!this.isRunning(id)) endCutAnswers(conversation);
    conversation.settings = { ...defaultSettings(), ...conversation.settings };
    this.conversation = conversation;
    this.prefer({ last: id });
  }

  async rename(id, title) {
    const conversation = await this.#find(id);
    conversation.title = title.trim();
    await this.#save(conversation);
  }

  async remove(id) {
    const conversation = await this.#find(id);
    this.stop(id);
    conversation.isRemoved = true;
    await this.#store.remove(id);
    this.summaries = this.summaries.filter((entry) => entry.id !== id);
    if (id === this.conversation.id) this.startNew();
    this.say('Conversation deleted', async () => {
      conversation.isRemoved = false;
      await this.#save(conversation);
      await this.open(id);
    });
  }

  download() {
    downloadJson(titleOf(this.conversation), this.conversation);
  }

  // Not for every letter that is typed into a setting.
  #saveSoon() {
    const { conversation } = this;
    clearTimeout(this.#savingSoon);
    this.#savingSoon = setTimeout(() => this.#save(conversation), kSaveSoon);
  }

  async #find(id) {
    if (id === this.conversation.id) return this.conversation;
    return this.#running.get(id)?.conversation ?? this.#store.load(id);
  }

  async #save(conversation) {
    if (conversation.isRemoved) return; // an answer of it has just ended
    const title = titleOf(conversation);
    const summary = { id: conversation.id, title, updated: conversation.updated };
    this.summaries = [summary, ...this.summaries.filter((entry) => entry.id !== conversation.id)];
    this.summaries.sort((a, b) => b.updated - a.updated);
    this.#saved = Date.now();
    this.#changed();
    try {
      await this.#store.save(conversation, title);
    } catch {
      if (this.#keeps) this.say('This browser could not keep the conversation.');
      this.#keeps = false;
    }
  }

  // ---- talking

  path() {
    return visiblePath(this.conversation);
  }

  isRunning(id = this.conversation.id) {
    return this.#running.has(id);
  }

  send(text, media = []) {
    if (this.isRunning()) return;
    const last = this.path().at(-1);
    const node = addNode(this.conversation, last?.id, { role: 'user', text, media });
    this.#answer(node);
  }

  // Another wording of a message, as a branch beside it.
  sendInstead(node, text) {
    if (this.isRunning()) return;
    const parent = parentOf(this.conversation, node);
    this.#answer(
      addNode(this.conversation, parent, { role: 'user', text, media: node.media ?? [] }),
    );
  }

  // Results of the calls of an answer; a branch beside earlier ones.
  sendResults(answer, results) {
    if (this.isRunning()) return;
    this.#answer(addNode(this.conversation, answer.id, { role: 'tool', results }));
  }

  answerAgain(answer) {
    if (this.isRunning()) return;
    this.#answer(this.conversation.nodes[answer.parent]);
  }

  switchBranch(node, step) {
    switchBranch(this.conversation, node.id, step);
    this.#save(this.conversation);
  }

  async copyFrom(node) {
    this.conversation = copyPath(this.conversation, node.id);
    await this.#save(this.conversation);
    this.prefer({ last: this.conversation.id });
    this.say('This is a copy of the conversation up to there.');
  }

  stop(id = this.conversation.id) {
    this.#running.get(id)?.abort.abort();
  }

  stopAll() {
    for (const id of this.#running.keys()) this.stop(id);
  }

  async #answer(node) {
    const { conversation } = this;
    const settings = {
      ...conversation.settings,
      model: this.model()?.name ?? conversation.settings.model,
    };
    const answer = addNode(conversation, node.id, {
      ...makeAnswer(settings.model),
      version: 0,
      budget: settings.think === 'budget' ? Number(settings.thinkBudget) : 0,
      format: settings.format,
      schema: settings.format === 'schema' ? settings.schema : '',
      loads: this.model()?.isLoaded === false,
    });
    const abort = new AbortController();
    this.#running.set(conversation.id, { conversation, answer, abort });
    this.prefer({ last: conversation.id });
    await this.#save(conversation);
    try {
      const body = chatRequest(pathTo(conversation, node.id), settings);
      await streamChat(body, {
        key: this.preferences.key,
        signal: abort.signal,
        onWarning: (warning) => (answer.warnings = warning),
        onSeen: (seen) => (answer.seen = seenItems(seen)),
        onChunk: (chunk) => {
          applyChunk(answer, chunk);
          this.#touch(answer);
          if (Date.now() - this.#saved > kSaveEvery) this.#save(conversation);
        },
      });
      if (answer.state === 'running') endAnswer(answer);
    } catch (error) {
      if (error.name === 'AbortError') endAnswer(answer, 'stopped');
      else failAnswer(answer, error.message, error.status);
    }
    this.#running.delete(conversation.id);
    this.#touch(answer);
    await this.#save(conversation);
    await this.refreshModels();
  }

  // Views draw an answer again when its version has changed.
  #touch(answer) {
    answer.version += 1;
    this.#changed();
  }

  // ---- short messages at the edge

  say(text, undo = null) {
    this.notice = { text, undo };
    clearTimeout(this.#noticeTimer);
    this.#noticeTimer = setTimeout(() => this.dismiss(), 8000);
    this.#changed();
  }

  dismiss() {
    this.notice = null;
    this.#changed();
  }
}

function parentOf(conversation, node) {
  return conversation.nodes[node.parent].role ? node.parent : null;
}

// Answers that were coming when the page was closed.
function endCutAnswers(conversation) {
  for (const node of Object.values(conversation.nodes)) {
    if (node.role !== 'assistant' || node.state !== 'running') continue;
    endAnswer(node, 'cut', node.started + node.firstToken);
  }
}

// True if this is the end of the path and waits for results of its calls.
export function waitsForResults(node) {
  return (
    node.role === 'assistant' &&
    node.state === 'done' &&
    node.calls.length > 0 &&
    node.chosen === null
  );
}
