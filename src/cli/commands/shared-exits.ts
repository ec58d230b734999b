import type { Command } from '../definition.ts';
import { EXIT_MEANING } from '../exit.ts';

/** Of everything that opens a repository. */
export const OPENING: Command['exits'] = {
  failed: EXIT_MEANING.failed,
  noRepository: EXIT_MEANING.noRepository,
};

/** Of everything that needs one of its keys. */
export const OPENING_WITH_KEY: Command['exits'] = { ...OPENING, wrongKey: EXIT_MEANING.wrongKey };
