// Markdown of a model → HTML that is safe to show. The text is a stranger's: no scripts, no forms,
// no styles, and nothing that is fetched when it is shown.
import DOMPurify from 'dompurify';
import { marked } from 'marked';

const kRules = {
  ALLOWED_TAGS: [
    'a',
    'b',
    'blockquote',
    'br',
    'code',
    'del',
    'em',
    'h1',
    'h2',
    'h3',
    'h4',
    'h5',
    'h6',
    'hr',
    'i',
    'li',
    'ol',
    'p',
    'pre',
    's',
    'strong',
    'sub',
    'sup',
    'table',
    'tbody',
    'td',
    'th',
    'thead',
    'tr',
    'ul',
  ],
  ALLOWED_ATTR: ['align', 'href', 'start', 'title', 'target', 'rel'],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
};

DOMPurify.addHook('afterSanitizeAttributes', (element) => {
  if (element.tagName !== 'A') return;
  element.setAttribute('target', '_blank');
  element.setAttribute('rel', 'noopener noreferrer');
});

const renderer = {
  // A picture would be fetched from wherever the text says: show where it lies instead.
  image({ href, text }) {
    return `<a href="${encodeURI(href)}">${text || href}</a>`;
  },
  // HTML in the text is shown, not obeyed.
  html({ text }) {
    return text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  },
};
marked.use({ gfm: true, breaks: true, renderer });

// The top-level blocks of a text, each { raw, code?, language?, html? }. While text streams in only
// the last of them changes.
export function markdownBlocks(text) {
  const tokens = marked.lexer(text);
  return tokens
    .filter((token) => token.type !== 'space' && token.type !== 'def')
    .map((token) => {
      if (token.type === 'code')
        return { raw: token.raw, code: token.text, language: token.lang ?? '' };
      return { raw: token.raw, token };
    });
}

export function blockHtml(token) {
  return DOMPurify.sanitize(marked.parser([token]), kRules);
}
