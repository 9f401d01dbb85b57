// Conversations in the browser's IndexedDB: nothing of them is kept on the server. The list needs
// only summaries, { id, title, updated }, so that long conversations are read when they are opened.

const kName = 'fourfold';
const kVersion = 1;

function open() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(kName, kVersion);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore('conversations', { keyPath: 'id' });
      opening.result.createObjectStore('summaries', { keyPath: 'id' });
    };
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

function answerOf(query) {
  return new Promise((resolve, reject) => {
    query.onsuccess = () => resolve(query.result);
    query.onerror = () => reject(query.error);
  });
}

export class Store {
  #database = open();

  async #use(mode, names, action) {
    const transaction = (await this.#database).transaction(names, mode);
    return action((name) => transaction.objectStore(name));
  }

  async summaries() {
    const list = await this.#use('readonly', ['summaries'], (of) =>
      answerOf(of('summaries').getAll()),
    );
    return list.sort((a, b) => b.updated - a.updated);
  }

  load(id) {
    return this.#use('readonly', ['conversations'], (of) => answerOf(of('conversations').get(id)));
  }

  save(conversation, title) {
    return this.#use('readwrite', ['conversations', 'summaries'], (of) => {
      const { id, updated } = conversation;
      of('summaries').put({ id, title, updated });
      return answerOf(of('conversations').put(conversation));
    });
  }

  remove(id) {
    return this.#use('readwrite', ['conversations', 'summaries'], (of) => {
      of('summaries').delete(id);
      return answerOf(of('conversations').delete(id));
    });
  }
}
