// The stored conversations.
import { useState } from 'preact/hooks';
import { day } from '../core/words.js';
import { IconButton, Icon } from './icons.jsx';

export function Sidebar({ chat, onDone }) {
  const [filter, setFilter] = useState('');
  const wanted = filter.trim().toLowerCase();
  const list = chat.summaries.filter(({ title }) => title.toLowerCase().includes(wanted));
  return (
    <nav class="sidebar" aria-label="Conversations">
      <header>
        <span class="brand">
          <Mark /> Fourfold
        </span>
        <IconButton icon="close" label="Close the list" class="only-narrow" onClick={onDone} />
      </header>
      <button type="button" class="button new-chat" onClick={() => (chat.startNew(), onDone())}>
        <Icon name="plus" /> New conversation
      </button>
      {chat.summaries.length > 8 && (
        <input
          type="search"
          placeholder="Search"
          aria-label="Search conversations"
          value={filter}
          onInput={(event) => setFilter(event.target.value)}
        />
      )}
      <div class="list">
        {list.map((entry, index) => {
          const label = day(entry.updated);
          const isFirst = index === 0 || day(list[index - 1].updated) !== label;
          return [
            isFirst && <h2 key={`day${entry.id}`}>{label}</h2>,
            <Entry key={entry.id} chat={chat} entry={entry} onDone={onDone} />,
          ];
        })}
        {list.length === 0 && (
          <p class="quiet">
            {wanted ? 'Nothing found.' : 'Conversations are kept in this browser only.'}
          </p>
        )}
      </div>
    </nav>
  );
}

function Entry({ chat, entry, onDone }) {
  const [isRenamed, setRenamed] = useState(false);
  const isShown = entry.id === chat.conversation.id;
  if (isRenamed) {
    const rename = (event) => {
      setRenamed(false);
      chat.rename(entry.id, event.target.value);
    };
    const onKeyDown = (event) => {
      if (event.key === 'Enter') event.target.blur();
      if (event.key === 'Escape') setRenamed(false);
    };
    return (
      <input
        class="rename"
        aria-label="Name of the conversation"
        value={entry.title}
        autofocus
        ref={(field) => field?.focus()}
        onBlur={rename}
        onKeyDown={onKeyDown}
      />
    );
  }
  const open = async () => {
    await chat.open(entry.id);
    onDone();
  };
  return (
    <div class={`entry ${isShown ? 'is-shown' : ''}`}>
      <button
        type="button"
        class="entry-title"
        aria-current={isShown ? 'page' : undefined}
        onClick={open}
      >
        {chat.isRunning(entry.id) && <i class="dot" aria-label="an answer is coming" />}
        {entry.title}
      </button>
      <IconButton
        icon="pencil"
        size={14}
        label={`Rename ${entry.title}`}
        onClick={() => setRenamed(true)}
      />
      <IconButton
        icon="trash"
        size={14}
        label={`Delete ${entry.title}`}
        onClick={() => chat.remove(entry.id)}
      />
    </div>
  );
}

export function Mark({ size = 20 }) {
  return (
    <svg class="mark" width={size} height={size} viewBox="0 0 20 20" aria-hidden="true">
      <path d="M9.2 9.2H3.6a2.8 2.8 0 1 1 2.8-5.6 2.8 2.8 0 0 1 2.8 2.8z" />
      <path d="M10.8 9.2V6.4a2.8 2.8 0 1 1 5.6 0 2.8 2.8 0 0 1-2.8 2.8z" opacity=".75" />
      <path d="M9.2 10.8v2.8a2.8 2.8 0 1 1-5.6 0 2.8 2.8 0 0 1 2.8-2.8z" opacity=".75" />
      <path d="M10.8 10.8h2.8a2.8 2.8 0 1 1-2.8 2.8z" opacity=".5" />
    </svg>
  );
}
