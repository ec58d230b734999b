/** Longest file name of Linux file systems, in bytes. */
const LONGEST_COMPONENT = 255;

/**
 * Object keys are relative paths in plain words: what one store takes, all stores take.
 * Errors: RangeError, since keys are made by the program and never by a user.
 */
export function requireValidKey(key: string): void {
  const problem = keyProblem(key);
  if (problem !== undefined) throw new RangeError(`object key ${JSON.stringify(key)} ${problem}`);
}

function keyProblem(key: string): string | undefined {
  if (key.includes('\0')) return 'contains NUL';
  for (const part of key.split('/')) {
    if (part === '') return 'has an empty component';
    if (part === '.' || part === '..') return `has the component ${part}`;
    if (Buffer.byteLength(part) > LONGEST_COMPONENT)
      return `has a component of more than ${LONGEST_COMPONENT} bytes`;
  }
  return undefined;
}
