/** A call of lifeboat that a page of the manual shows. */
export interface QuotedCommand {
  readonly page: string;
  readonly argv: readonly string[];
  /** In a block it can be typed as it stands; in a sentence it may leave out what the sentence is not about. */
  readonly complete: boolean;
}

const BLOCK = /^```(?:sh|bash)?\n([\s\S]*?)^```|((?:^ {4}.*\n)+)/gm;
const INLINE = /`(lifeboat [^`\n]+)`/g;

/** Lines of code blocks that start with `lifeboat`, with their continuation lines, and `lifeboat ...` in sentences. */
export function quotedCommands(page: string, markdown: string): QuotedCommand[] {
  const blocks = [...markdown.matchAll(BLOCK)].map(([, fenced, indented]) => fenced ?? indented ?? '');
  const lines = blocks.flatMap((block) => block.replace(/\\\n\s*/g, '').split('\n'));
  const sentences = [...markdown.replace(BLOCK, '').matchAll(INLINE)].map(([, text]) => text!);
  const quoted = (text: string, complete: boolean) => ({ page, argv: words(text).slice(1), complete });
  return [
    ...lines
      .map((line) => line.trim())
      .filter((line) => /^lifeboat [a-z-]/.test(line))
      .map((line) => quoted(line, true)),
    ...sentences.map((text) => quoted(text, false)),
  ];
}

/** As a shell would split them, without its rarer quoting; a comment ends the line. */
function words(line: string): string[] {
  return [...line.replace(/\s#.*$/, '').matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, a, b, c]) => a ?? b ?? c!,
  );
}
