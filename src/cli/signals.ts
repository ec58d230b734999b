import { EXIT } from '../core/errors.ts';

/** Where signals come from: the process, or a test. */
export interface SignalSource {
  on(name: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  off(name: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  exit(status: number): void;
}

/**
 * The first signal asks the command to stop in good order: sandboxes are removed, sessions closed. Who signals again has
 * waited long enough; what is left then is swept by the next run.
 */
export function abortOnSignals(source: SignalSource): { readonly signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const listener = () => {
    if (controller.signal.aborted) source.exit(EXIT.interrupted);
    else controller.abort();
  };
  source.on('SIGINT', listener);
  source.on('SIGTERM', listener);
  return {
    signal: controller.signal,
    release: () => {
      source.off('SIGINT', listener);
      source.off('SIGTERM', listener);
    },
  };
}
