/**
 * Characters that would move the cursor, hide text or reverse it (CVE-2021-42574) where a person reads it. Names of servers,
 * rooms and media files come from strangers.
 */
// oxlint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** The same text with U+FFFD in their place, and for lone surrogates; tabs and line feeds stay. */
export function printable(text: string): string {
  return text.toWellFormed().replace(UNPRINTABLE, '\ufffd');
}

/** The same on one line. */
export function printableLine(text: string): string {
  return printable(text.replace(/\s+/g, ' ').trim());
}
