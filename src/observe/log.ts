import { pino, type DestinationStream, type Logger } from 'pino';
import { maskSecrets } from '../core/secret.ts';

export type { Logger };
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/**
 * JSON lines. Secrets are masked by value in the finished line: pino's `redact` knows paths only, and misses what stands in
 * messages and error texts. No worker transport: it would lose the last lines of a process that ends.
 */
export function createLogger(level: LogLevel, destination: DestinationStream = process.stderr): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, hooks: { streamWrite: maskSecrets } },
    destination,
  );
}
