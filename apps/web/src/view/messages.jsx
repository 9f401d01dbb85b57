// The messages of a conversation.
import { useEffect, useRef, useState } from 'preact/hooks';
import { waitsForResults } from '../chat.js';
import { answerTokens, tokensPerSecond } from '../core/answer.js';
import { problemOf } from '../core/json_schema.js';
import { prettyJson } from '../core/tools.js';
import { count, counted, duration, finishNote } from '../core/words.js';
import { Calls, ResultForm, Results } from './calls.jsx';
import { Icon, IconButton } from './icons.jsx';
import { CodeBlock, CopyButton, Markdown } from './markdown.jsx';
import { memo } from './memo.jsx';
import { Thought } from './thought.jsx';
import { Trace } from './trace.jsx';

const kViews = { user: Question, assistant: Answer, tool: ToolMessage };

// `version`, `index`, `count` and `chosen` are what may change in a node.
export const Message = memo(function Message(props) {
  const View = kViews[props.node.role];
  return <View {...props} />;
});

function Branches({ chat, node, index, count: all }) {
  if (all < 2) return null;
  return (
    <span class="branches">
      <IconButton
        icon="left"
        size={12}
        label="Branch before"
        disabled={index === 0}
        onClick={() => chat.switchBranch(node, -1)}
      />
      <span>
        {index + 1}/{all}
      </span>
      <IconButton
        icon="right"
        size={12}
        label="Next branch"
        disabled={index + 1 === all}
        onClick={() => chat.switchBranch(node, 1)}
      />
    </span>
  );
}

function Question(props) {
  const { chat, node, isBusy } = props;
  const [isEdited, setEdited] = useState(false);
  if (isEdited) {
    const send = (text) => {
      setEdited(false);
      chat.sendInstead(node, text);
    };
    return <EditForm text={node.text} onSend={send} onCancel={() => setEdited(false)} />;
  }
  return (
    <article class="message question" aria-label="You">
      <Media items={node.media ?? []} />
      {node.text && <div class="bubble">{node.text}</div>}
      <footer class="actions">
        <Branches {...props} />
        <CopyButton text={() => node.text} label="Copy the message" />
        <IconButton
          icon="pencil"
          label="Edit, as another branch"
          disabled={isBusy}
          onClick={() => setEdited(true)}
        />
      </footer>
    </article>
  );
}

export function Media({ items, onRemove = null }) {
  if (items.length === 0) return null;
  return (
    <ul class="media">
      {items.map((item, index) => (
        <li key={index}>
          {item.kind === 'image' && <img src={item.url} alt={item.name} />}
          {item.kind === 'audio' && <audio controls src={item.url} aria-label={item.name} />}
          {item.kind === 'video' && <video controls src={item.url} aria-label={item.name} />}
          {onRemove && (
            <IconButton
              icon="close"
              size={12}
              label={`Remove ${item.name}`}
              onClick={() => onRemove(index)}
            />
          )}
        </li>
      ))}
    </ul>
  );
}

function EditForm({ text, onSend, onCancel }) {
  const [value, setValue] = useState(text);
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  const onKeyDown = (event) => {
    if (event.key === 'Escape') onCancel();
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      onSend(value);
    }
  };
  return (
    <form class="card edit" onSubmit={(event) => (event.preventDefault(), onSend(value))}>
      <textarea
        aria-label="Edit the message"
        rows={Math.min(12, value.split('\n').length + 1)}
        value={value}
        onInput={(event) => setValue(event.target.value)}
        onKeyDown={onKeyDown}
        ref={field}
      />
      <footer>
        <button type="button" class="button" onClick={onCancel}>
          Cancel
        </button>
        <button type="submit" class="button is-main">
          Send
        </button>
      </footer>
    </form>
  );
}

function Answer(props) {
  const { chat, node, isBusy, colouring } = props;
  const [showsTrace, setShowsTrace] = useState(false);
  const isRunning = node.state === 'running';
  const isEmpty = !node.thought && !node.text && node.calls.length === 0;
  return (
    <article class="message answer" aria-label="Answer" aria-busy={isRunning}>
      {node.thought && !showsTrace && <Thought answer={node} />}
      {isRunning && isEmpty && (
        <p class="waiting" role="status">
          {node.loads ? 'Loading the model' : 'Reading the prompt'}
        </p>
      )}
      {showsTrace ? (
        <Trace
          answer={node}
          colouring={colouring}
          onColouring={(name) => chat.prefer({ colouring: name })}
        />
      ) : (
        node.text && <AnswerText node={node} />
      )}
      <Calls calls={node.calls} />
      {waitsForResults(node) && !isBusy && (
        <ResultForm calls={node.calls} onSend={(results) => chat.sendResults(node, results)} />
      )}
      {node.error && <Failure node={node} chat={chat} />}
      <Facts node={node} />
      {!isRunning && (
        <footer class="actions">
          <Branches {...props} />
          <CopyButton text={() => node.text} label="Copy the answer" />
          <IconButton
            icon="again"
            label="Answer again, as another branch"
            disabled={isBusy}
            onClick={() => chat.answerAgain(node)}
          />
          <IconButton
            icon="branch"
            label="Go on from here in a copy"
            disabled={isBusy}
            onClick={() => chat.copyFrom(node)}
          />
          <IconButton
            icon="trace"
            label="Trace: how sure was it?"
            aria-pressed={showsTrace}
            onClick={() => setShowsTrace(!showsTrace)}
          />
        </footer>
      )}
    </article>
  );
}

function AnswerText({ node }) {
  if (node.format === 'text') return <Markdown text={node.text} />;
  return (
    <>
      <CodeBlock language="json" code={prettyJson(node.text)} />
      {node.state === 'done' && <JsonVerdict node={node} />}
    </>
  );
}

// What the page itself finds when it looks at the JSON.
function JsonVerdict({ node }) {
  let problem = '';
  try {
    const value = JSON.parse(node.text);
    if (node.schema) problem = problemOf(value, JSON.parse(node.schema));
  } catch (error) {
    problem = `no valid JSON: ${error.message}`;
  }
  if (problem) {
    return (
      <p class="verdict is-bad">
        <Icon name="close" size={12} /> {problem}
      </p>
    );
  }
  return (
    <p class="verdict is-good">
      <Icon name="check" size={12} />{' '}
      {node.schema ? 'Valid JSON, matches the schema' : 'Valid JSON'}
    </p>
  );
}

function Failure({ node, chat }) {
  return (
    <div class="card failure" role="alert">
      <p>{node.error.message}</p>
      <button type="button" class="button" onClick={() => chat.answerAgain(node)}>
        Try again
      </button>
    </div>
  );
}

function Facts({ node }) {
  const rate = tokensPerSecond(node);
  const facts = [];
  if (finishNote(node.finish)) facts.push(<b key="finish">{finishNote(node.finish)}</b>);
  if (answerTokens(node) > 0) facts.push(counted(answerTokens(node), 'token'));
  if (rate > 0) facts.push(`${rate >= 100 ? Math.round(rate) : rate.toFixed(1)} tokens/s`);
  if (node.firstToken > 0) facts.push(`first after ${duration(node.firstToken)}`);
  if (node.usage) {
    const { prompt, cached } = node.usage;
    facts.push(`prompt ${count(prompt)}${cached > 0 ? ` (${count(cached)} cached)` : ''}`);
  }
  return (
    <>
      {facts.length > 0 && (
        <p class="facts">{facts.map((fact, index) => [index > 0 && ' · ', fact])}</p>
      )}
      {node.seen?.length > 0 && (
        <ul class="facts seen" aria-label="What was seen">
          {node.seen.map((item, index) => (
            <li key={index}>{item}</li>
          ))}
        </ul>
      )}
      {node.warnings && <p class="facts is-warning">Not as asked: {node.warnings}</p>}
    </>
  );
}

function ToolMessage(props) {
  const { chat, node, isBusy } = props;
  const [isEdited, setEdited] = useState(false);
  const answer = chat.conversation.nodes[node.parent];
  if (isEdited) {
    const send = (results) => {
      setEdited(false);
      chat.sendResults(answer, results);
    };
    return (
      <ResultForm
        calls={answer.calls}
        given={node.results}
        onSend={send}
        onCancel={() => setEdited(false)}
      />
    );
  }
  return (
    <article class="message tool" aria-label="Results of tools">
      <Results results={node.results} />
      <footer class="actions">
        <Branches {...props} />
        <IconButton
          icon="pencil"
          label="Change, as another branch"
          disabled={isBusy}
          onClick={() => setEdited(true)}
        />
      </footer>
    </article>
  );
}
