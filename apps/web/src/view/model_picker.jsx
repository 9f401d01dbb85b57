// The models of the server with what they weigh.
import { useEffect, useRef, useState } from 'preact/hooks';
import { shortName } from '../core/models.js';
import { bytes, counted, duration } from '../core/words.js';
import { Icon } from './icons.jsx';

export function ModelPicker({ chat }) {
  const [isOpen, setOpen] = useState(false);
  const box = useRef(null);
  const model = chat.model();

  useEffect(() => {
    if (!isOpen) return undefined;
    chat.refreshModels();
    box.current.querySelector('[aria-checked="true"]')?.focus();
    const closeOutside = (event) => box.current?.contains(event.target) || setOpen(false);
    document.addEventListener('pointerdown', closeOutside);
    return () => document.removeEventListener('pointerdown', closeOutside);
  }, [isOpen]);

  const onKeyDown = (event) => {
    if (event.key === 'Escape' && isOpen) {
      event.stopPropagation();
      setOpen(false);
      box.current.querySelector('button').focus();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !isOpen) return;
    event.preventDefault();
    const entries = [...box.current.querySelectorAll('[role="menuitemradio"]')];
    entries[
      (entries.indexOf(document.activeElement) + step + entries.length) % entries.length
    ]?.focus();
  };
  const choose = (name) => {
    chat.set({ model: name });
    setOpen(false);
  };
  return (
    <div class="picker" ref={box} onKeyDown={onKeyDown}>
      <button
        type="button"
        class="button picker-button"
        aria-haspopup="menu"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        <span>{model ? shortName(model) : 'No model'}</span>
        <Icon name="down" size={12} />
      </button>
      {isOpen && (
        <div class="popup" role="menu" aria-label="Models">
          {chat.models.map((entry) => (
            <ModelEntry
              key={entry.name}
              chat={chat}
              entry={entry}
              isChosen={entry === model}
              onChoose={() => choose(entry.name)}
            />
          ))}
          {chat.models.length === 0 && (
            <p class="quiet">{chat.modelsError?.message ?? 'The server offers no model.'}</p>
          )}
        </div>
      )}
    </div>
  );
}

const kAbilities = [
  ['thinking', 'thinks'],
  ['tools', 'tools'],
  ['vision', 'sees'],
  ['audio', 'hears'],
];

function ModelEntry({ chat, entry, isChosen, onChoose }) {
  const abilities = kAbilities
    .filter(([name]) => entry.capabilities.has(name))
    .map(([, word]) => word);
  const facts = [
    entry.parameters && `${entry.parameters} parameters`,
    entry.quantization,
    entry.context > 0 && counted(entry.context, 'token'),
  ].filter(Boolean);
  return (
    <div class="model">
      <button type="button" role="menuitemradio" aria-checked={isChosen} onClick={onChoose}>
        <b>{shortName(entry)}</b>
        <span class="quiet">{facts.join(' · ')}</span>
        <span class="quiet">{abilities.length > 0 ? abilities.join(', ') : 'text only'}</span>
        <span class={entry.isLoaded ? 'memory is-loaded' : 'memory quiet'}>
          {entry.isLoaded
            ? `${bytes(entry.memoryBytes)} in memory${expiry(entry)}`
            : `${bytes(entry.fileBytes)} on disk, not loaded`}
        </span>
      </button>
      {entry.isLoaded && (
        <button type="button" class="button" onClick={() => chat.unloadModel(entry.name)}>
          Unload
        </button>
      )}
    </div>
  );
}

function expiry({ unloads }) {
  const left = unloads - Date.now();
  // "For ever" is written as a time in a far century.
  return left > 0 && left < 31e9 ? `, unloads in ${duration(left)}` : '';
}
