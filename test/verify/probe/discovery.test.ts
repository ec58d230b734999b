import { describe, expect, it } from 'vitest';
import { discoverServer, type Resolvers, type SrvRecord } from '../../../src/verify/probe/discovery.ts';
import { parseServerName } from '../../../src/verify/probe/server-name.ts';

interface World {
  readonly wellKnown?: Record<string, string>;
  readonly srv?: Record<string, SrvRecord[]>;
}

function world({ wellKnown = {}, srv = {} }: World = {}): Resolvers & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    wellKnown: async (host) => (asked.push(`well-known ${host}`), wellKnown[host]),
    srv: async (name) => (asked.push(`srv ${name}`), srv[name] ?? []),
  };
}

const record = (name: string, port: number, priority = 0, weight = 0): SrvRecord => ({
  name,
  port,
  priority,
  weight,
});

describe('server discovery, step by step of the specification', () => {
  it('1: an address is taken as it stands, with port 8448 or its own, and nobody is asked', async () => {
    const nobody = world();
    expect(await discoverServer('192.0.2.1', nobody)).toEqual({
      host: '192.0.2.1',
      port: 8448,
      tlsName: '192.0.2.1',
      hostHeader: '192.0.2.1',
      via: 'address',
    });
    expect(await discoverServer('[2001:db8::1]:99', nobody)).toEqual({
      host: '2001:db8::1',
      port: 99,
      tlsName: '2001:db8::1',
      hostHeader: '[2001:db8::1]:99',
      via: 'address',
    });
    expect(nobody.asked).toEqual([]);
  });

  it('2: a name with a port is taken as it stands, and nobody is asked', async () => {
    const nobody = world({ wellKnown: { 'example.com': 'other.example:1' } });
    expect(await discoverServer('example.com:8080', nobody)).toEqual({
      host: 'example.com',
      port: 8080,
      tlsName: 'example.com',
      hostHeader: 'example.com:8080',
      via: 'port',
    });
    expect(nobody.asked).toEqual([]);
  });

  it('3.1: .well-known delegates to an address', async () => {
    const found = await discoverServer('example.com', world({ wellKnown: { 'example.com': '192.0.2.7' } }));
    expect(found).toEqual({
      host: '192.0.2.7',
      port: 8448,
      tlsName: '192.0.2.7',
      hostHeader: '192.0.2.7',
      via: 'well-known',
    });
  });

  it('3.2: .well-known delegates to a name with a port, whose certificate and Host count', async () => {
    const asked = world({ wellKnown: { 'example.com': 'matrix.example.com:443' } });
    expect(await discoverServer('example.com', asked)).toEqual({
      host: 'matrix.example.com',
      port: 443,
      tlsName: 'matrix.example.com',
      hostHeader: 'matrix.example.com:443',
      via: 'well-known',
    });
    expect(asked.asked).toEqual(['well-known example.com']);
  });

  it('3.3 and 3.4: .well-known delegates to a name, SRV of that name tells where', async () => {
    const wellKnown = { 'example.com': 'matrix.example.com' };
    const expected = {
      host: 'box.example.net',
      port: 8449,
      tlsName: 'matrix.example.com',
      hostHeader: 'matrix.example.com',
    };
    const modern = world({
      wellKnown,
      srv: { '_matrix-fed._tcp.matrix.example.com': [record('box.example.net', 8449)] },
    });
    expect(await discoverServer('example.com', modern)).toEqual({ ...expected, via: 'srv' });
    const legacy = world({
      wellKnown,
      srv: { '_matrix._tcp.matrix.example.com': [record('box.example.net', 8449)] },
    });
    expect(await discoverServer('example.com', legacy)).toEqual({ ...expected, via: 'srv-legacy' });
  });

  it('3.5: .well-known delegates to a name without SRV: port 8448; a delegate is not asked for .well-known again', async () => {
    const asked = world({
      wellKnown: { 'example.com': 'matrix.example.com', 'matrix.example.com': 'third.example' },
    });
    expect(await discoverServer('example.com', asked)).toEqual({
      host: 'matrix.example.com',
      port: 8448,
      tlsName: 'matrix.example.com',
      hostHeader: 'matrix.example.com',
      via: 'well-known',
    });
    expect(asked.asked).toEqual([
      'well-known example.com',
      'srv _matrix-fed._tcp.matrix.example.com',
      'srv _matrix._tcp.matrix.example.com',
    ]);
  });

  it('4 and 5: without .well-known SRV of the name decides, the newer service first; the certificate is that of the name', async () => {
    const srv = {
      '_matrix-fed._tcp.example.com': [record('new.example.net', 1)],
      '_matrix._tcp.example.com': [record('old.example.net', 2)],
    };
    expect(await discoverServer('example.com', world({ srv }))).toEqual({
      host: 'new.example.net',
      port: 1,
      tlsName: 'example.com',
      hostHeader: 'example.com',
      via: 'srv',
    });
    const legacy = world({ srv: { '_matrix._tcp.example.com': srv['_matrix._tcp.example.com'] } });
    expect(await discoverServer('example.com', legacy)).toMatchObject({
      host: 'old.example.net',
      port: 2,
      via: 'srv-legacy',
    });
  });

  it('6: with nothing at all it is port 8448 of the name', async () => {
    expect(await discoverServer('example.com', world())).toEqual({
      host: 'example.com',
      port: 8448,
      tlsName: 'example.com',
      hostHeader: 'example.com',
      via: 'default-port',
    });
  });

  it('goes on with SRV when .well-known holds nonsense', async () => {
    const found = await discoverServer(
      'example.com',
      world({ wellKnown: { 'example.com': 'not a server' } }),
    );
    expect(found.via).toBe('default-port');
  });

  it('prefers the lowest priority, then the heaviest weight, and takes a lone dot as "no service"', async () => {
    const srv = {
      '_matrix-fed._tcp.example.com': [record('c', 3, 20, 100), record('a', 1, 10, 1), record('b', 2, 10, 9)],
    };
    expect(await discoverServer('example.com', world({ srv }))).toMatchObject({ host: 'b', port: 2 });
    const none = { '_matrix-fed._tcp.example.com': [record('.', 0)] };
    expect(await discoverServer('example.com', world({ srv: none }))).toMatchObject({ via: 'default-port' });
  });

  it.each(['', 'a b', 'http://x', 'x:0', 'x:65536', '[1.2.3.4]', '2001:db8::1', 'x/y'])(
    'refuses %j',
    async (name) => {
      expect(parseServerName(name)).toBeUndefined();
      await expect(discoverServer(name, world())).rejects.toThrow('is not a Matrix server name');
    },
  );
});
