// What a conversation asks of the model beside its messages.
import { jsonProblem, kSchemaExample, kToolExample, parseToolList } from '../core/tools.js';
import { kSamplers } from '../core/request.js';
import { IconButton } from './icons.jsx';

export function SettingsPanel({ chat, onClose }) {
  const settings = chat.settings();
  return (
    <aside class="panel" aria-label="Settings">
      <header>
        <h2>Settings</h2>
        <IconButton icon="close" label="Close the settings" onClick={onClose} />
      </header>
      <div class="panel-body">
        <Field label="System text">
          <textarea
            rows={3}
            value={settings.system}
            placeholder="How the model is to behave"
            onInput={(event) => chat.set({ system: event.target.value })}
          />
        </Field>
        <Thinking chat={chat} settings={settings} />
        <Sampling chat={chat} settings={settings} />
        <Format chat={chat} settings={settings} />
        <Tools chat={chat} settings={settings} />
        <fieldset>
          <legend>Trace</legend>
          <label class="check">
            <input
              type="checkbox"
              checked={settings.trace}
              onChange={(event) => chat.set({ trace: event.target.checked })}
            />
            Record the trace: how likely each token was
          </label>
        </fieldset>
        <Page chat={chat} />
      </div>
    </aside>
  );
}

function Field({ label, problem = '', children }) {
  return (
    <label class="field">
      <span>{label}</span>
      {children}
      {problem && <em class="problem">{problem}</em>}
    </label>
  );
}

function Choice({ label, value, choices, onChange }) {
  return (
    <div class="choice" role="group" aria-label={label}>
      {choices.map(([name, text]) => (
        <button
          type="button"
          key={name}
          aria-pressed={value === name}
          onClick={() => onChange(name)}
        >
          {text}
        </button>
      ))}
    </div>
  );
}

function Thinking({ chat, settings }) {
  return (
    <fieldset>
      <legend>Thinking</legend>
      <Choice
        label="Thinking"
        value={settings.think}
        choices={[
          ['off', 'Off'],
          ['on', 'On'],
          ['budget', 'Budget'],
        ]}
        onChange={(think) => chat.set({ think })}
      />
      {settings.think === 'budget' && (
        <Field label="At most so many tokens">
          <input
            type="number"
            min={1}
            step={1}
            value={settings.thinkBudget}
            onChange={(event) =>
              chat.set({ thinkBudget: Math.max(1, Math.round(Number(event.target.value)) || 1) })
            }
          />
        </Field>
      )}
    </fieldset>
  );
}

function Sampling({ chat, settings }) {
  const set = (name, value) => {
    const sampling = { ...settings.sampling };
    if (value === '') delete sampling[name];
    else sampling[name] = value;
    chat.set({ sampling });
  };
  const isChanged = Object.keys(settings.sampling).length > 0 || settings.stop !== '';
  return (
    <fieldset>
      <legend>Sampling</legend>
      <div class="grid">
        {kSamplers.map(({ name, label, usual, min, max, step }) => (
          <Field key={name} label={label}>
            <input
              type="number"
              name={name}
              placeholder={usual}
              min={min}
              max={max}
              step={step}
              value={settings.sampling[name] ?? ''}
              onInput={(event) => set(name, event.target.value)}
            />
          </Field>
        ))}
      </div>
      <Field label="Stop at (one a line)">
        <textarea
          rows={1}
          value={settings.stop}
          onInput={(event) => chat.set({ stop: event.target.value })}
        />
      </Field>
      {isChanged && (
        <button type="button" class="button" onClick={() => chat.set({ sampling: {}, stop: '' })}>
          Back to the model’s own
        </button>
      )}
    </fieldset>
  );
}

function Format({ chat, settings }) {
  return (
    <fieldset>
      <legend>Answer</legend>
      <Choice
        label="Form of the answer"
        value={settings.format}
        choices={[
          ['text', 'Text'],
          ['json', 'JSON'],
          ['schema', 'Schema'],
        ]}
        onChange={(format) => chat.set({ format })}
      />
      {settings.format === 'schema' && (
        <Field label="JSON Schema" problem={jsonProblem(settings.schema)}>
          <textarea
            class="is-code"
            name="schema"
            rows={8}
            spellcheck={false}
            value={settings.schema}
            onInput={(event) => chat.set({ schema: event.target.value })}
          />
        </Field>
      )}
      {settings.format === 'schema' && !settings.schema && (
        <button type="button" class="button" onClick={() => chat.set({ schema: kSchemaExample })}>
          Use an example
        </button>
      )}
    </fieldset>
  );
}

function Tools({ chat, settings }) {
  const problem = jsonProblem(settings.tools, parseToolList);
  return (
    <fieldset>
      <legend>Tools</legend>
      <Field label="Declarations: a JSON list of functions" problem={problem}>
        <textarea
          class="is-code"
          name="tools"
          rows={settings.tools ? 8 : 2}
          spellcheck={false}
          value={settings.tools}
          onInput={(event) => chat.set({ tools: event.target.value })}
        />
      </Field>
      {!settings.tools && (
        <button type="button" class="button" onClick={() => chat.set({ tools: kToolExample })}>
          Use an example
        </button>
      )}
      {settings.tools && !problem && (
        <Choice
          label="Use of the tools"
          value={settings.toolChoice}
          choices={[
            ['auto', 'When useful'],
            ['required', 'Always'],
            ['none', 'Never'],
          ]}
          onChange={(toolChoice) => chat.set({ toolChoice })}
        />
      )}
      <p class="quiet">You give the results of the calls yourself.</p>
    </fieldset>
  );
}

function Page({ chat }) {
  const { theme, key } = chat.preferences;
  return (
    <fieldset>
      <legend>This page</legend>
      <Choice
        label="Light or dark"
        value={theme}
        choices={[
          ['system', 'System'],
          ['light', 'Light'],
          ['dark', 'Dark'],
        ]}
        onChange={(name) => chat.prefer({ theme: name })}
      />
      <Field label="API key, if the server wants one">
        <input
          type="password"
          name="key"
          autocomplete="off"
          value={key}
          onChange={(event) => chat.prefer({ key: event.target.value.trim() })}
        />
      </Field>
      {chat.isStored() && (
        <button type="button" class="button" onClick={() => chat.download()}>
          Download this conversation
        </button>
      )}
    </fieldset>
  );
}
