// Line drawings, 16 × 16, in the colour of the text around them.
const kPaths = {
  plus: 'M8 3v10M3 8h10',
  menu: 'M2.5 4.5h11M2.5 8h11M2.5 11.5h11',
  send: 'M8 13V3.5M4 7.2 8 3.2l4 4',
  stop: 'M4.5 4.5h7v7h-7z',
  copy: 'M6 5.5h7v8H6zM10 5.5v-3H3v8h3',
  check: 'M3 8.5 6.5 12 13 4.5',
  again: 'M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3',
  pencil: 'm3 13 .6-2.8 7.2-7.2 2.2 2.2-7.2 7.2z',
  branch:
    'M4.5 5v6M4.5 8.5h4a3 3 0 0 0 3-3M4.5 5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3M4.5 14a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3M11.5 5.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3',
  trace: 'M3 13V9M6.3 13V5M9.7 13V7.5M13 13V3',
  sliders:
    'M2.5 5h6M12 5h1.5M2.5 11H4M7.5 11h6M10.2 6.7a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4M5.8 12.7a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4',
  sun: 'M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6M8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9',
  moon: 'M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5',
  system: 'M2.5 3.5h11v7h-11zM6 13.5h4',
  trash: 'M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.5 9h6l.5-9',
  left: 'M9.8 3.5 5.3 8l4.5 4.5',
  right: 'M6.2 3.5 10.7 8l-4.5 4.5',
  down: 'M3.5 6.2 8 10.7l4.5-4.5',
  close: 'm4 4 8 8M12 4l-8 8',
  image: 'M2.5 3h11v10h-11zM2.5 11l3.2-3.2 2.6 2.6 1.9-1.9 3.3 3.3M10.5 6.3h.01',
  audio: 'M2.5 6.2v3.6M5.3 4v8M8 2.5v11M10.7 4.6v6.8M13.5 6.6v2.8',
  video: 'M2.5 4h8v8h-8zM10.5 7l3-1.8v5.6l-3-1.8',
  microphone:
    'M8 9.5a2 2 0 0 0 2-2v-3a2 2 0 1 0-4 0v3a2 2 0 0 0 2 2M3.8 7.5a4.2 4.2 0 0 0 8.4 0M8 11.7v2.3',
  tool: 'M9.7 2.8a3.4 3.4 0 0 0-3 4.7l-4 4a1.3 1.3 0 0 0 1.8 1.8l4-4a3.4 3.4 0 0 0 4.5-4l-2 2-1.6-.4-.4-1.6 2-2a3.4 3.4 0 0 0-1.3-.5',
  keyboard: 'M1.8 4h12.4v8H1.8zM4.3 6.7h.01M6.8 6.7h.01M9.2 6.7h.01M11.7 6.7h.01M5 9.5h6',
};

export function Icon({ name, size = 16 }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={kPaths[name]} />
    </svg>
  );
}

// A button that shows only its drawing; the label is for readers and pointers.
export function IconButton({ icon, label, size, class: name = '', ...rest }) {
  return (
    <button type="button" class={`icon-button ${name}`} aria-label={label} title={label} {...rest}>
      <Icon name={icon} size={size} />
    </button>
  );
}
