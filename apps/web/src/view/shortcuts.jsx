// The keys, in a dialog.
import { useEffect, useRef } from 'preact/hooks';
import { IconButton } from './icons.jsx';

const kKeys = [
  ['Enter', 'Send'],
  ['Shift Enter', 'New line'],
  ['Esc', 'Stop the answer'],
  ['Ctrl Enter', 'Send results of tools'],
  ['/', 'Write'],
  ['Ctrl Shift O', 'New conversation'],
  ['Ctrl B', 'List of conversations'],
  ['Ctrl ,', 'Settings'],
  ['← →', 'Walk over the tokens of a trace'],
  ['?', 'These keys'],
];

export function Shortcuts({ onClose }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  return (
    <dialog ref={dialog} class="keys" onClose={onClose} aria-label="Keys">
      <header>
        <h2>Keys</h2>
        <IconButton icon="close" label="Close" onClick={() => dialog.current.close()} />
      </header>
      <dl>
        {kKeys.map(([keys, meaning]) => (
          <div key={keys}>
            <dt>
              {keys.split(' ').map((name) => (
                <kbd key={name}>{name}</kbd>
              ))}
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </dialog>
  );
}
