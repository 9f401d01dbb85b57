// Calls of tools, and the form in which the reader gives their results.
import { useState } from 'preact/hooks';
import { prettyJson } from '../core/tools.js';
import { Icon } from './icons.jsx';
import { CopyButton } from './markdown.jsx';

export function Calls({ calls }) {
  return calls.map((call, index) => (
    <section class="card call" key={index} aria-label={`Call of ${call.name}`}>
      <header>
        <Icon name="tool" />
        <b>{call.name}</b>
        <span class="quiet">call</span>
        <CopyButton text={() => call.arguments} label="Copy the arguments" />
      </header>
      <pre tabIndex={0}>{prettyJson(call.arguments || '{}')}</pre>
    </section>
  ));
}

// One field a call. `given` are earlier results, to be changed.
export function ResultForm({ calls, given = [], onSend, onCancel = null }) {
  const [texts, setTexts] = useState(calls.map((_, index) => given[index]?.content ?? ''));
  const send = (event) => {
    event.preventDefault();
    onSend(calls.map((call, i) => ({ callId: call.id, name: call.name, content: texts[i] })));
  };
  const onKeyDown = (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) send(event);
  };
  return (
    <form class="card results" onSubmit={send} onKeyDown={onKeyDown}>
      {calls.map((call, index) => (
        <label key={index}>
          <span>
            Result of <b>{call.name}</b>
          </span>
          <textarea
            rows={2}
            placeholder="Text or JSON that the tool would answer"
            value={texts[index]}
            onInput={(event) =>
              setTexts(texts.map((text, i) => (i === index ? event.target.value : text)))
            }
          />
        </label>
      ))}
      <footer>
        {onCancel && (
          <button type="button" class="button" onClick={onCancel}>
            Cancel
          </button>
        )}
        <button type="submit" class="button is-main">
          {calls.length === 1 ? 'Send result' : 'Send results'}
        </button>
      </footer>
    </form>
  );
}

export function Results({ results }) {
  return results.map((result, index) => (
    <section class="card result" key={index} aria-label={`Result of ${result.name}`}>
      <header>
        <Icon name="right" />
        <b>{result.name}</b>
        <span class="quiet">result</span>
      </header>
      <pre tabIndex={0}>{prettyJson(result.content) || '(nothing)'}</pre>
    </section>
  ));
}
