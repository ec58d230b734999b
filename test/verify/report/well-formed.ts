/**
 * Whether a text is well-formed XML (1.0, without doctype and namespaces): every element closed in order, attributes quoted and
 * unique, no character or entity that XML does not have. Returns the first problem, with what stands there.
 */
const NAME = '[A-Za-z_][A-Za-z0-9_.:-]*';
const TOKEN = new RegExp(
  `<!--[^]*?-->|<\\?xml [^?]*\\?>|<!DOCTYPE html>|</(${NAME})\\s*>|<(${NAME})((?:\\s+${NAME}="[^"<]*")*)\\s*(/?)>|[^<]+`,
  'y',
);
// oxlint-disable-next-line no-control-regex
const NO_CHARACTER = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;
const LOOSE_AMPERSAND = /&(?!(?:amp|lt|gt|quot|#39);)/;

export function problemOf(text: string): string | undefined {
  if (!text.isWellFormed()) return 'a lone surrogate';
  if (NO_CHARACTER.test(text)) return 'a character that XML does not have';
  const open: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const token = TOKEN.exec(text);
    if (token === null) return `not markup: ${text.slice(at, at + 60)}`;
    const [whole, closing, opening, attributes = '', empty] = token;
    const style = open.at(-1) === 'style';
    if (LOOSE_AMPERSAND.test(style ? '' : whole)) return `a loose ampersand: ${whole.slice(0, 60)}`;
    if (closing !== undefined && open.pop() !== closing) return `</${closing}> closes nothing`;
    const names = [...attributes.matchAll(/([A-Za-z_:.-]+)="/g)].map(([, name]) => name);
    if (new Set(names).size !== names.length) return `an attribute twice: ${whole.slice(0, 60)}`;
    if (opening !== undefined && empty === '') open.push(opening);
  }
  return open.length === 0 ? undefined : `not closed: ${open.join(' ')}`;
}
