// Text of the model as Markdown.
import { useMemo, useState } from 'preact/hooks';
import { blockHtml, markdownBlocks } from '../browser/clean_html.js';
import { Icon } from './icons.jsx';
import { memo } from './memo.jsx';

export function Markdown({ text }) {
  return (
    <div class="markdown">
      {markdownBlocks(text).map((block, index) =>
        block.code === undefined ? (
          <HtmlBlock key={index} raw={block.raw} make={() => blockHtml(block.token)} />
        ) : (
          <CodeBlock key={index} code={block.code} language={block.language} />
        ),
      )}
    </div>
  );
}

function HtmlBlock({ raw, make }) {
  const html = useMemo(make, [raw]);
  return <div class="block" dangerouslySetInnerHTML={{ __html: html }} />;
}

export const CodeBlock = memo(function CodeBlock({ code, language }) {
  return (
    <div class="code">
      <div class="code-head">
        <span>{language || 'text'}</span>
        <CopyButton text={() => code} />
      </div>
      <pre tabIndex={0}>
        <code>{code}</code>
      </pre>
    </div>
  );
});

export function CopyButton({ text, label = 'Copy' }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text());
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" class="icon-button" title={label} aria-label={label} onClick={copy}>
      <Icon name={isDone ? 'check' : 'copy'} />
    </button>
  );
}
