import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { attempt } from '../../src/environment/process/agent/escape.ts';
import { requireSealed, waysOut } from '../../src/environment/process/ways-out.ts';

describe('attempts to leave', () => {
  it('try TCP, UDP, names, routes, files and sockets', () => {
    const kinds = new Set(waysOut().map(({ how }) => how));
    expect([...kinds].toSorted()).toEqual(['dns', 'file', 'route', 'socket', 'tcp', 'udp']);
  });

  it('see that a way is open: a server that accepts, a file that opens, a name that resolves, a datagram that goes', async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const open = await Promise.all([
      attempt({ how: 'tcp', to: '127.0.0.1', port }),
      attempt({ how: 'udp', to: '127.0.0.1', port }),
      attempt({ how: 'dns', to: 'localhost', port: 0 }),
      attempt({ how: 'file', to: '/etc/passwd', port: 0 }),
    ]);
    server.close();
    expect(open.map(({ escaped }) => escaped)).toEqual([true, true, true, true]);
    expect(open[0]?.target).toBe(`TCP 127.0.0.1:${port}`);
  });

  it('see that a way is closed, and tell what the kernel said', async () => {
    const closed = await attempt({ how: 'file', to: '/nowhere/at/all', port: 0 });
    expect(closed).toEqual({ target: 'file /nowhere/at/all', escaped: false, observed: 'ENOENT' });
  });

  it('forbid the drill when a single one succeeds, and name it', () => {
    const attempts = [
      { target: 'TCP 1.1.1.1:443', escaped: false, observed: 'ENETUNREACH' },
      { target: 'dns matrix.org', escaped: true, observed: '104.20.21.236' },
    ];
    expect(() => requireSealed(attempts)).toThrow(
      expect.objectContaining({ code: 'not-sealed', message: expect.stringContaining('dns matrix.org') }),
    );
    expect(() => requireSealed(attempts.slice(0, 1))).not.toThrow();
  });
});
