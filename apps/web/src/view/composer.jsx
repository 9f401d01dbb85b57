// Where the next message is written.
import { useEffect, useRef, useState } from 'preact/hooks';
import { mediaItem, microphoneRefusal, startRecording } from '../browser/media.js';
import { mediaReason, mediaRefusal } from '../core/models.js';
import { Icon, IconButton } from './icons.jsx';
import { Media } from './messages.jsx';

const kKinds = [
  ['image', 'Attach a picture'],
  ['audio', 'Attach a sound'],
  ['video', 'Attach a video'],
];

export function Composer({ chat, field }) {
  const [text, setText] = useState('');
  const [media, setMedia] = useState([]);
  const isBusy = chat.isRunning();
  const model = chat.model();

  useEffect(() => {
    field.current.style.height = 'auto';
    field.current.style.height = `${field.current.scrollHeight}px`;
  }, [text]);
  useEffect(() => field.current.focus(), [chat.conversation.id]);

  const send = () => {
    if (isBusy || (!text.trim() && media.length === 0)) return;
    chat.send(text, media);
    setText('');
    setMedia([]);
  };
  const attach = async (files) => {
    for (const file of files) {
      const item = await mediaItem(file);
      const refusal = item.kind
        ? mediaRefusal(model, item.kind)
        : 'only pictures, sounds and videos can be attached';
      if (refusal) chat.say(`${file.name}: ${refusal}`);
      else setMedia((list) => [...list, item]);
    }
  };
  const onKeyDown = (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  const onPaste = (event) => {
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    attach(event.clipboardData.files);
  };
  const onDrop = (event) => {
    event.preventDefault();
    attach(event.dataTransfer.files);
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => (event.preventDefault(), send())}
      onDrop={onDrop}
      onDragOver={(event) => event.preventDefault()}
    >
      <Media items={media} onRemove={(index) => setMedia(media.filter((_, i) => i !== index))} />
      <textarea
        ref={field}
        rows={1}
        placeholder="Message"
        aria-label="Message"
        value={text}
        onInput={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
        onPaste={onPaste}
      />
      <div class="composer-row">
        {kKinds.map(([kind, label]) => (
          <AttachButton
            key={kind}
            kind={kind}
            label={label}
            refusal={mediaRefusal(model, kind)}
            onFiles={attach}
          />
        ))}
        <Microphone
          chat={chat}
          refusal={mediaRefusal(model, 'audio') || microphoneRefusal()}
          onRecorded={(item) => setMedia([...media, item])}
        />
        <ThinkingChoice chat={chat} />
        <span class="fill" />
        {isBusy ? (
          <button
            type="button"
            class="send"
            aria-label="Stop the answer"
            title="Stop (Esc)"
            onClick={() => chat.stop()}
          >
            <Icon name="stop" />
          </button>
        ) : (
          <button
            type="submit"
            class="send"
            aria-label="Send"
            title="Send (Enter)"
            disabled={!text.trim() && media.length === 0}
          >
            <Icon name="send" />
          </button>
        )}
      </div>
      {mediaReason(model) && <p class="hint">{mediaReason(model)}</p>}
    </form>
  );
}

function AttachButton({ kind, label, refusal, onFiles }) {
  const input = useRef(null);
  const choose = (event) => {
    onFiles([...event.target.files]);
    event.target.value = '';
  };
  return (
    <>
      <IconButton
        icon={kind}
        label={refusal ? `${label}: ${refusal}` : label}
        disabled={Boolean(refusal)}
        onClick={() => input.current.click()}
      />
      <input ref={input} type="file" accept={`${kind}/*`} multiple hidden onChange={choose} />
    </>
  );
}

function Microphone({ chat, refusal, onRecorded }) {
  const [recording, setRecording] = useState(null);
  const toggle = async () => {
    try {
      if (recording) {
        setRecording(null);
        onRecorded(await recording.stop());
      } else {
        setRecording(await startRecording());
      }
    } catch (error) {
      chat.say(`No recording: ${error.message}`);
    }
  };
  const label = recording ? 'End the recording' : 'Record';
  return (
    <IconButton
      icon="microphone"
      class={recording ? 'is-recording' : ''}
      label={refusal ? `${label}: ${refusal}` : label}
      aria-pressed={Boolean(recording)}
      disabled={Boolean(refusal)}
      onClick={toggle}
    />
  );
}

// The switch that is needed most; the budget is in the settings.
function ThinkingChoice({ chat }) {
  const { think, thinkLast, thinkBudget } = chat.settings();
  const cannot = chat.model() && !chat.model().capabilities.has('thinking');
  const toggle = () =>
    chat.set(think === 'off' ? { think: thinkLast } : { think: 'off', thinkLast: think });
  return (
    <button
      type="button"
      class="chip"
      aria-pressed={think !== 'off'}
      disabled={cannot}
      title={cannot ? 'This model does not think' : 'Think before answering'}
      onClick={toggle}
    >
      {think === 'budget' ? `Think, at most ${thinkBudget}` : 'Think'}
    </button>
  );
}
