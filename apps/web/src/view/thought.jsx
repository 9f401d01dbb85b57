// The thought before an answer: open while it comes, then folded, unless the reader says otherwise.
import { useState } from 'preact/hooks';
import { thoughtTokens } from '../core/answer.js';
import { count, counted, duration } from '../core/words.js';
import { Icon } from './icons.jsx';
import { Markdown } from './markdown.jsx';

export function Thought({ answer }) {
  const [choice, setChoice] = useState(null);
  const isComing = answer.state === 'running' && !answer.thoughtEnd;
  const isOpen = choice ?? isComing;
  return (
    <section class={`thought ${isComing ? 'is-coming' : ''}`}>
      <button
        type="button"
        class="thought-head"
        aria-expanded={isOpen}
        onClick={() => setChoice(!isOpen)}
      >
        <Icon name={isOpen ? 'down' : 'right'} size={12} />
        <span>
          {isComing ? 'Thinking' : `Thought for ${duration(answer.thoughtEnd - answer.firstToken)}`}
        </span>
        <Budget answer={answer} />
      </button>
      {isOpen && (
        <div class="thought-text">
          <Markdown text={answer.thought} />
        </div>
      )}
    </section>
  );
}

function Budget({ answer }) {
  const used = thoughtTokens(answer);
  if (!used) return null;
  if (!answer.budget) return <span class="quiet">{counted(used, 'token')}</span>;
  return (
    <span class="quiet budget">
      {count(used)} of {counted(answer.budget, 'token')}
      <meter
        min={0}
        max={answer.budget}
        value={Math.min(used, answer.budget)}
        aria-label="Thinking budget used"
      />
    </span>
  );
}
