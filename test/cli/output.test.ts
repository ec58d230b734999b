import { describe, expect, it } from 'vitest';
import { createOutput } from '../../src/cli/output.ts';
import type { GlobalFlags } from '../../src/cli/flags.ts';
import { LifeboatError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';

interface Terminal {
  readonly tty?: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

function open(flags: GlobalFlags = {}, { tty = false, env = {} }: Terminal = {}) {
  const written = { stdout: '', stderr: '' };
  const clock = { ms: 0 };
  const stream = (name: keyof typeof written) => ({
    isTTY: tty,
    columns: 40,
    write: (text: string) => (written[name] += text),
  });
  const output = createOutput(
    { stdout: stream('stdout'), stderr: stream('stderr'), env },
    flags,
    () => clock.ms,
  );
  return { output, written, clock };
}

const CANARY = new Secret('canary-7f3e21"\\');

describe('what is printed', () => {
  it('has results on standard output and everything else on standard error', () => {
    const { output, written } = open();
    output.print('result');
    output.note('note');
    output.warn('careful');
    output.progress({ phase: 'media', message: 'reading' });
    expect(written).toEqual({
      stdout: 'result\n',
      stderr: 'note\nlifeboat: warning: careful\nmedia: reading\n',
    });
  });

  it('with --quiet has no notes and no progress, but warnings and errors', () => {
    const { output, written } = open({ quiet: true });
    output.note('note');
    output.progress({ phase: 'media', message: 'reading' });
    output.warn('careful');
    expect(written.stderr).toBe('lifeboat: warning: careful\n');
  });

  it('masks secrets by value wherever they turn up, also escaped in JSON, and passwords of URLs', () => {
    for (const json of [false, true]) {
      const { output, written } = open({ json, verbose: true });
      const text = `with ${CANARY.reveal()} and postgres://user:hunter2secret@host/db`;
      output.print(text);
      output.note(text);
      output.warn(text);
      output.progress({ phase: 'x', message: text });
      output.message('check', { observed: text });
      output.error(
        new LifeboatError('internal', text, { hint: text, context: { file: text }, cause: new Error(text) }),
      );
      const all = written.stdout + written.stderr;
      expect(all).toContain('[secret]');
      expect(all).not.toContain('canary-7f3e21');
      expect(all).not.toContain('hunter2secret');
    }
  });

  it('reveals a secret only to who asked for it, and never in JSON', () => {
    const plain = open();
    plain.output.reveal(CANARY);
    expect(plain.written.stdout).toBe(`${CANARY.reveal()}\n`);
    const json = open({ json: true });
    json.output.reveal(CANARY);
    expect(json.written.stdout).toBe('');
  });

  it('lets no text of a stranger move the cursor', () => {
    const { output, written } = open();
    output.print('a\u001b[2Jb');
    output.warn('c\u202ed');
    expect(written.stdout + written.stderr).toBe('a\ufffd[2Jb\nlifeboat: warning: c\ufffdd\n');
  });
});

describe('an error', () => {
  const error = new LifeboatError('database-unreachable', 'first\nsecond', {
    hint: ['Do this.', 'Or that.'],
    cause: new Error('refused', { cause: new Error('really') }),
    context: { host: 'h' },
  });

  it('is one line, more lines indented, and hints', () => {
    const { output, written } = open();
    output.error(error);
    expect(written).toEqual({
      stdout: '',
      stderr: 'lifeboat: error: first\n  second\nhint: Do this.\nhint: Or that.\n',
    });
  });

  it('tells its causes with --verbose', () => {
    const { output, written } = open({ verbose: true });
    output.error(error);
    expect(written.stderr).toMatch(/cause: refused\ncause: really\n$/);
  });

  it('is a JSON line as well with --json', () => {
    const { output, written } = open({ json: true });
    output.error(error);
    expect(JSON.parse(written.stdout)).toEqual({
      message_type: 'error',
      code: 'database-unreachable',
      message: 'first\nsecond',
      hints: ['Do this.', 'Or that.'],
      context: { host: 'h' },
      exit_status: 30,
      transient: true,
    });
  });
});

describe('progress', () => {
  it('is written over on a terminal, and gone before a result', () => {
    const { output, written } = open({}, { tty: true });
    output.progress({ phase: 'media', done: 3, total: 9, unit: 'files' });
    output.print('done');
    expect(written).toEqual({ stdout: 'done\n', stderr: 'media: [####........] 3 of 9 files\r\u001b[J' });
  });

  it('is not written more often than a person can read, nor wider than the terminal', () => {
    const { output, written, clock } = open({}, { tty: true });
    for (clock.ms = 0; clock.ms < 1000; clock.ms += 1)
      output.progress({ phase: 'x'.repeat(100), done: clock.ms });
    const shown = written.stderr.split('\r\u001b[J');
    expect(shown).toHaveLength(10);
    expect(shown.every((line) => line.length < 40)).toBe(true);
  });

  it('shows no counts in a file or a journal', () => {
    const { output, written } = open();
    for (let done = 0; done < 100; done += 1) output.progress({ phase: 'media', done });
    expect(written.stderr).toBe('');
  });

  it('comes as JSON at most once a second, but with every message', () => {
    const { output, written, clock } = open({ json: true });
    for (clock.ms = 0; clock.ms < 3000; clock.ms += 100) output.progress({ phase: 'media', done: clock.ms });
    output.progress({ phase: 'commit', message: 'writing' });
    expect(written.stdout.trim().split('\n')).toHaveLength(4);
    expect(written.stderr).toBe('');
  });
});

describe('colours', () => {
  it.each([
    [true, {}, {}, true],
    [false, {}, {}, false],
    [true, { NO_COLOR: '1' }, {}, false],
    [true, { NO_COLOR: '' }, {}, true],
    [true, { TERM: 'dumb' }, {}, false],
    [true, {}, { color: false }, false],
  ] as const)('on a terminal %s, with %j and %j: %s', (tty, env, flags, expected) => {
    expect(open(flags, { tty, env }).output.color).toBe(expected);
  });
});
