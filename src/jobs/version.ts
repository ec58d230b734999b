import { readFileSync } from 'node:fs';

/** Of this package; package.json lies two folders above both src/jobs and dist/jobs. */
export const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
