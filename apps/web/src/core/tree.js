// A conversation is a tree: answering again or editing a question adds a branch beside the old one.
// The path from the root that follows the chosen child of each node is what the reader sees.
//
// Nodes: { id, parent, role, children, chosen, … }, where the role decides what else they hold:
//   user       text, media
//   assistant  see answer.js
//   tool       results: [{ callId, name, content }]

const kRoot = 'root';

let counter = 0;
export function makeId() {
  counter += 1;
  return `${Date.now().toString(36)}-${counter.toString(36)}${Math.random().toString(36).slice(2, 6)}`;
}

export function makeConversation(settings) {
  const now = Date.now();
  return {
    id: makeId(),
    title: '',
    created: now,
    updated: now,
    settings,
    nodes: { [kRoot]: { id: kRoot, children: [], chosen: null } },
  };
}

// Adds a child and chooses it. Without a parent it becomes a first message.
export function addNode(conversation, parent, node) {
  const above = conversation.nodes[parent ?? kRoot];
  const added = { ...node, id: makeId(), parent: above.id, children: [], chosen: null };
  conversation.nodes[added.id] = added;
  above.children.push(added.id);
  above.chosen = added.id;
  conversation.updated = Date.now();
  return added;
}

export function visiblePath(conversation) {
  const path = [];
  let node = conversation.nodes[conversation.nodes[kRoot].chosen];
  while (node) {
    path.push(node);
    node = conversation.nodes[node.chosen];
  }
  return path;
}

// From the first message to this node, itself included.
export function pathTo(conversation, id) {
  const path = [];
  for (let node = conversation.nodes[id]; node && node.id !== kRoot;) {
    path.unshift(node);
    node = conversation.nodes[node.parent];
  }
  return path;
}

// Which of how many branches this node is: { index, count }.
export function branchOf(conversation, id) {
  const siblings = conversation.nodes[conversation.nodes[id].parent].children;
  return { index: siblings.indexOf(id), count: siblings.length };
}

// Shows the branch that lies `step` further.
export function switchBranch(conversation, id, step) {
  const above = conversation.nodes[conversation.nodes[id].parent];
  const next = above.children[above.children.indexOf(id) + step];
  if (next) above.chosen = next;
}

// A new conversation that holds the path to this node and nothing else.
export function copyPath(conversation, id) {
  const copy = makeConversation(structuredClone(conversation.settings));
  copy.title = conversation.title;
  let parent = null;
  for (const node of pathTo(conversation, id)) {
    parent = addNode(copy, parent, structuredClone(node)).id;
  }
  return copy;
}

// What the list shows of a conversation.
export function titleOf(conversation) {
  if (conversation.title) return conversation.title;
  const first = visiblePath(conversation).find((node) => node.role === 'user');
  const text = first?.text.trim().split('\n')[0] ?? '';
  if (text) return text.length > 60 ? `${text.slice(0, 57)}…` : text;
  return first?.media?.length ? first.media[0].name : 'New conversation';
}
