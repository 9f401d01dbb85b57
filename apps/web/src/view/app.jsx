// The whole page: list of conversations, messages, composer, settings.
import { useEffect, useReducer, useRef, useState } from 'preact/hooks';
import { shortName } from '../core/models.js';
import { branchOf, titleOf } from '../core/tree.js';
import { Composer } from './composer.jsx';
import { Icon, IconButton } from './icons.jsx';
import { Message } from './messages.jsx';
import { ModelPicker } from './model_picker.jsx';
import { SettingsPanel } from './settings_panel.jsx';
import { Shortcuts } from './shortcuts.jsx';
import { Mark, Sidebar } from './sidebar.jsx';

const kNarrow = '(max-width: 52rem)';

export function App({ chat }) {
  const [, redraw] = useReducer((count) => count + 1, 0);
  useEffect(() => chat.subscribe(redraw), []);
  const [showsList, setShowsList] = useState(!matchMedia(kNarrow).matches);
  const [showsSettings, setShowsSettings] = useState(false);
  const [showsKeys, setShowsKeys] = useState(false);
  const field = useRef(null);
  const title = titleOf(chat.conversation);
  useEffect(() => {
    document.title = `${title} · Fourfold`;
  }, [title]);

  const startNew = () => {
    chat.startNew();
    field.current.focus();
  };
  useShortcuts({
    startNew,
    stop: () => (chat.isRunning() ? chat.stop() : setShowsKeys(false)),
    focus: () => field.current.focus(),
    toggleList: () => setShowsList((shown) => !shown),
    toggleSettings: () => setShowsSettings((shown) => !shown),
    showKeys: () => setShowsKeys(true),
  });
  // On a narrow screen the list lies over the messages and goes once something is chosen.
  const closeList = () => matchMedia(kNarrow).matches && setShowsList(false);

  return (
    <div class={`app ${showsList ? 'shows-list' : ''} ${showsSettings ? 'shows-settings' : ''}`}>
      {showsList && <Sidebar chat={chat} onDone={closeList} />}
      {(showsList || showsSettings) && (
        <div
          class="shade only-narrow"
          onClick={() => (setShowsList(false), setShowsSettings(false))}
        />
      )}
      <main>
        <header class="top">
          <IconButton
            icon="menu"
            label="Conversations (Ctrl B)"
            aria-expanded={showsList}
            onClick={() => setShowsList(!showsList)}
          />
          <ModelPicker chat={chat} />
          <span class="fill" />
          <IconButton icon="plus" label="New conversation (Ctrl Shift O)" onClick={startNew} />
          <IconButton
            icon="keyboard"
            class="only-wide"
            label="Keys (?)"
            onClick={() => setShowsKeys(true)}
          />
          <ThemeButton chat={chat} />
          <IconButton
            icon="sliders"
            label="Settings (Ctrl ,)"
            aria-expanded={showsSettings}
            onClick={() => setShowsSettings(!showsSettings)}
          />
        </header>
        <ServerState chat={chat} onSettings={() => setShowsSettings(true)} />
        <Messages chat={chat} />
        <Composer chat={chat} field={field} />
      </main>
      {showsSettings && <SettingsPanel chat={chat} onClose={() => setShowsSettings(false)} />}
      {showsKeys && <Shortcuts onClose={() => setShowsKeys(false)} />}
      {chat.notice && <Notice chat={chat} />}
    </div>
  );
}

function useShortcuts(actions) {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const onKeyDown = (event) => {
      const isTyping = event.target.closest?.('input, textarea');
      const control = event.ctrlKey || event.metaKey;
      const action =
        (event.key === 'Escape' && 'stop') ||
        (control && event.shiftKey && event.key.toLowerCase() === 'o' && 'startNew') ||
        (control && event.key === 'b' && 'toggleList') ||
        (control && event.key === ',' && 'toggleSettings') ||
        (!isTyping && event.key === '/' && 'focus') ||
        (!isTyping && event.key === '?' && 'showKeys');
      if (!action) return;
      event.preventDefault();
      latest.current[action]();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, []);
}

const kNextTheme = { system: 'light', light: 'dark', dark: 'system' };
const kThemeIcons = { system: 'system', light: 'sun', dark: 'moon' };

function ThemeButton({ chat }) {
  const { theme } = chat.preferences;
  return (
    <IconButton
      icon={kThemeIcons[theme]}
      class="only-wide"
      label={`Colours: ${theme}`}
      onClick={() => chat.prefer({ theme: kNextTheme[theme] })}
    />
  );
}

// Says why the server cannot be talked to.
function ServerState({ chat, onSettings }) {
  const error = chat.modelsError;
  if (!error) return null;
  const needsKey = error.status === 401 || error.status === 403;
  return (
    <div class="banner" role="status">
      {needsKey
        ? `The server wants an API key: ${error.message}`
        : `Waiting for the server: ${error.message}`}
      {needsKey && (
        <button type="button" class="button" onClick={onSettings}>
          Enter a key
        </button>
      )}
    </div>
  );
}

function Messages({ chat }) {
  const box = useRef(null);
  const [isAtEnd, setAtEnd] = useState(true);
  const path = chat.path();
  const { conversation } = chat;

  const goToEnd = () => box.current.scrollTo({ top: box.current.scrollHeight });
  useEffect(() => {
    setAtEnd(true);
    goToEnd();
  }, [conversation.id, path.length]);
  // Stays at the end while an answer grows, unless the reader has scrolled up.
  useEffect(() => {
    if (isAtEnd) goToEnd();
  });
  const onScroll = () => {
    const { scrollHeight, scrollTop, clientHeight } = box.current;
    setAtEnd(scrollHeight - scrollTop - clientHeight < 48);
  };
  return (
    <div class="messages" ref={box} onScroll={onScroll} tabIndex={-1}>
      {path.length === 0 && <Welcome chat={chat} />}
      <div class="column" role="log" aria-label="Conversation">
        {path.map((node) => (
          <Message
            key={node.id}
            chat={chat}
            node={node}
            version={node.version}
            chosen={node.chosen}
            {...branchOf(conversation, node.id)}
            isBusy={chat.isRunning()}
            colouring={chat.preferences.colouring}
          />
        ))}
      </div>
      {!isAtEnd && (
        <button
          type="button"
          class="to-end"
          aria-label="Go to the end"
          title="Go to the end"
          onClick={goToEnd}
        >
          <Icon name="down" />
        </button>
      )}
    </div>
  );
}

function Welcome({ chat }) {
  const model = chat.model();
  return (
    <div class="welcome">
      <Mark size={44} />
      <h1>{model ? `Talk with ${shortName(model)}` : 'Fourfold'}</h1>
      <p class="quiet">It runs on this server. What you write stays there and in this browser.</p>
    </div>
  );
}

function Notice({ chat }) {
  const { text, undo } = chat.notice;
  const onUndo = () => {
    chat.dismiss();
    undo();
  };
  return (
    <div class="notice" role="status">
      <span>{text}</span>
      {undo && (
        <button type="button" class="button" onClick={onUndo}>
          Undo
        </button>
      )}
      <IconButton icon="close" size={12} label="Dismiss" onClick={() => chat.dismiss()} />
    </div>
  );
}
