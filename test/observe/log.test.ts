import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { createLogger } from '../../src/observe/index.ts';

function capture(): { lines: string[]; destination: Writable } {
  const lines: string[] = [];
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(chunk.toString());
      done();
    },
  });
  return { lines, destination };
}

describe('the log', () => {
  it('never shows a secret: not in a message, a deep field, an error, a URL, or escaped', () => {
    const { lines, destination } = capture();
    const log = createLogger('debug', destination);
    const plain = new Secret('canary-plain-8811').reveal();
    const quoted = new Secret('canary "quoted" \\ 7722').reveal();
    log.info(`password is ${plain}`);
    log.info({ a: { b: { c: { d: { e: plain } } } }, Password: plain, list: [plain, quoted] }, 'deep');
    log.error(new Error(`cannot log in with ${plain} and ${quoted}`));
    log.error({ err: new Error('outer', { cause: new Error(plain) }) });
    log.warn({ url: 'postgres://synapse:canary-url-3344@db/synapse' });
    log.info({ [plain]: 'as a key' }, quoted);
    expect(lines).toHaveLength(6);
    expect(lines.join('')).not.toMatch(/canary/);
    expect(lines.join('')).toContain('[secret]');
  });

  it('writes one JSON object a line, with the time in UTC', () => {
    const { lines, destination } = capture();
    createLogger('info', destination).info({ phase: 'media' }, 'done');
    expect(JSON.parse(lines[0]!)).toMatchObject({
      msg: 'done',
      phase: 'media',
      time: expect.stringMatching(/Z$/),
    });
  });

  it('leaves out what is below its level', () => {
    const { lines, destination } = capture();
    createLogger('warn', destination).info('not wanted');
    expect(lines).toEqual([]);
  });
});
