// The tokens of an answer, coloured by how sure the model was of each; pointing at one shows what
// else it weighed.
import { useRef, useState } from 'preact/hooks';
import {
  candidates,
  entropyBits,
  heat,
  kColourings,
  probability,
  summary,
  visibleToken,
} from '../core/trace.js';
import { counted, percent } from '../core/words.js';
import { memo } from './memo.jsx';

export function Trace({ answer, colouring, onColouring }) {
  const [shown, setShown] = useState(null);
  const { tokens } = answer;
  const figures = summary(tokens);
  if (!figures) {
    return (
      <p class="quiet trace-none">
        This answer has no trace. Turn “Record the trace” on in the settings and answer again.
      </p>
    );
  }
  const index = Math.min(shown ?? figures.least, tokens.length - 1);
  return (
    <section class="trace" aria-label="Trace">
      <header>
        <div class="choice" role="group" aria-label="Colour tokens by">
          {Object.entries(kColourings).map(([name, label]) => (
            <button
              type="button"
              key={name}
              aria-pressed={colouring === name}
              onClick={() => onColouring(name)}
            >
              {label}
            </button>
          ))}
        </div>
        <Legend colouring={colouring} />
        <span class="quiet">
          {counted(tokens.length, 'token')} · perplexity {figures.perplexity.toFixed(2)} ·{' '}
          {figures.bits.toFixed(2)} bits a token
        </span>
      </header>
      <Tokens
        tokens={tokens}
        length={tokens.length}
        colouring={colouring}
        shown={index}
        onShow={setShown}
      />
      <TokenCard token={tokens[index]} index={index} />
    </section>
  );
}

function Legend({ colouring }) {
  return (
    <span class="legend quiet" aria-hidden="true">
      sure
      {[0, 1, 2, 3, 4, 5].map((level) => (
        <i key={level} class={`heat-${level}`} />
      ))}
      {colouring === 'entropy' ? 'open' : 'unlikely'}
    </span>
  );
}

// The arrow keys walk over the tokens.
const Tokens = memo(function Tokens({ tokens, colouring, shown, onShow }) {
  const box = useRef(null);
  const onKeyDown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    onShow(Math.max(0, Math.min(tokens.length - 1, shown + step)));
  };
  const show = (event) => {
    const place = event.target.dataset?.index;
    if (place !== undefined) onShow(Number(place));
  };
  return (
    <div
      class="tokens"
      ref={box}
      tabIndex={0}
      role="group"
      aria-label="Tokens; walk with the arrow keys"
      onKeyDown={onKeyDown}
      onMouseOver={show}
      onClick={show}
    >
      {tokens.map((token, index) => {
        const starts = index > 0 && tokens[index - 1].place !== token.place;
        return [
          starts && <hr key={`line${index}`} />,
          <span
            key={index}
            data-index={index}
            class={`token heat-${heat(token, colouring)} ${index === shown ? 'is-shown' : ''}`}
          >
            {token.text.trim() === '' ? visibleToken(token.text) : token.text}
          </span>,
          token.text.trim() === '' && token.text.includes('\n') && <br key={`break${index}`} />,
        ];
      })}
    </div>
  );
});

const kPlaces = { thought: 'thought', text: 'answer' };

function TokenCard({ token, index }) {
  return (
    <div class="token-card" aria-live="polite">
      <p>
        <code>{visibleToken(token.text)}</code>
        <span class="quiet">
          token {index + 1}, {kPlaces[token.place]} · {percent(probability(token.logprob))} ·{' '}
          {entropyBits(token).toFixed(2)} bits
        </span>
      </p>
      <ol>
        {candidates(token).map((entry, place) => (
          <li key={place} class={entry.isDrawn ? 'is-drawn' : ''}>
            <code>{visibleToken(entry.text)}</code>
            <meter min={0} max={1} value={probability(entry.logprob)} />
            <span>{percent(probability(entry.logprob))}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}
