import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { exitStatusOf, toLifeboatError } from '../../src/cli/exit.ts';
import { abortOnSignals } from '../../src/cli/signals.ts';
import { ERROR_TABLE, EXIT, LifeboatError, type ErrorCode } from '../../src/core/errors.ts';

describe('whatever is thrown', () => {
  it('has the exit status of its code', () => {
    for (const [code, { exit }] of Object.entries(ERROR_TABLE))
      expect(exitStatusOf(toLifeboatError(new LifeboatError(code as ErrorCode, 'x')))).toBe(exit);
  });

  it.each([
    [new DOMException('This operation was aborted', 'AbortError'), 'interrupted'],
    [Object.assign(new Error('write'), { code: 'ENOSPC' }), 'disk-full'],
    [new TypeError('x is not a function'), 'internal'],
    ['a string', 'internal'],
    [undefined, 'internal'],
    [null, 'internal'],
  ])('%s is %s', (thrown, code) => {
    expect(toLifeboatError(thrown).code).toBe(code);
  });
});

describe('signals', () => {
  function start() {
    const exits: number[] = [];
    const source = Object.assign(new EventEmitter(), { exit: (status: number) => void exits.push(status) });
    return { source, exits, ...abortOnSignals(source) };
  }

  it.each(['SIGINT', 'SIGTERM'])('the first %s asks the command to stop', (name) => {
    const { source, exits, signal } = start();
    expect(signal.aborted).toBe(false);
    source.emit(name);
    expect({ aborted: signal.aborted, exits }).toEqual({ aborted: true, exits: [] });
  });

  it('the second one ends at once with 130', () => {
    const { source, exits } = start();
    source.emit('SIGINT');
    source.emit('SIGTERM');
    expect(exits).toEqual([EXIT.interrupted]);
  });

  it('are left alone when the command has ended', () => {
    const { source, signal, release } = start();
    release();
    source.emit('SIGINT');
    expect(signal.aborted).toBe(false);
    expect(source.listenerCount('SIGINT') + source.listenerCount('SIGTERM')).toBe(0);
  });
});
