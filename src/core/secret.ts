import { inspect } from 'node:util';

/** Values that must never reach a sink; `src/observe` masks them in every line it writes. */
const registered = new Set<string>();

/** Shorter values would mask innocent text ("a", "1234") and are not worth much as secrets anyway. */
const SHORTEST_MASKED = 6;

/** A value that prints as `[secret]` wherever it is written, and registers itself for masking by value. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
    if (value.length >= SHORTEST_MASKED) registered.add(value);
  }

  /** The value itself: only for the place that hands it to a child process' environment, a file or a cipher. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}

/** Secret keys of age in any letter case: people paste them where a public key is asked for. */
const AGE_SECRET_KEY = /AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{20,}/gi;

/** Replaces every registered secret, every secret key of age, and the password of every URL, in a text. */
export function maskSecrets(text: string): string {
  let masked = text.replace(/(\/\/[^/\s:@]*):[^/\s@]+@/g, '$1:[secret]@').replace(AGE_SECRET_KEY, '[secret]');
  for (const value of registered) {
    if (masked.includes(value)) masked = masked.replaceAll(value, '[secret]');
    const escaped = JSON.stringify(value).slice(1, -1);
    if (escaped !== value && masked.includes(escaped)) masked = masked.replaceAll(escaped, '[secret]');
  }
  return masked;
}
