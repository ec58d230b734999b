import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { startConversation } from '../../src/exec/index.ts';

/** What of child processes keeps this process alive. */
const held = (): string[] =>
  process.getActiveResourcesInfo().filter((each) => /^(?:ProcessWrap|PipeWrap)$/.test(each));

describe('a conversation with a child', () => {
  it('goes both ways, and ends when it is stopped', async () => {
    const child = await startConversation(['cat']);
    child.stdin.write('hello');
    expect(String((await once(child.stdout, 'data'))[0])).toBe('hello');
    child.stop();
    expect(await child.ended).toEqual({ stderr: '' });
  });

  it('keeps this process alive only when told to', async () => {
    const before = held();
    const child = await startConversation(['cat']);
    expect(held().length).toBeGreaterThan(before.length);
    child.keepAlive(false);
    expect(held()).toEqual(before);
    child.keepAlive(true);
    expect(held().length).toBeGreaterThan(before.length);
    child.stop();
    await child.ended;
  });

  it('tells the end of what the child said when it ended', async () => {
    const child = await startConversation(['sh', '-c', 'seq 10000 >&2; echo last words >&2; exit 3']);
    const { stderr } = await child.ended;
    expect(stderr).toMatch(/\nlast words\n$/);
    expect(stderr.length).toBeLessThan(10_000);
  });

  it('does not wait for a program in the background that holds its standard error', async () => {
    const child = await startConversation(['sh', '-c', 'echo failed >&2; sleep 5 >&- & exit 1']);
    expect(await child.ended).toEqual({ stderr: 'failed\n' });
  });

  it('says that its program is missing', async () => {
    await expect(startConversation(['no-such-program'])).rejects.toMatchObject({ code: 'command-missing' });
  });
});
