import { describe, expect, it } from 'vitest';
import { drillNames } from '../../src/jobs/drill-names.ts';

describe('names inside a drill', () => {
  it('a server name with a port federates on that port, and is not delegated', () => {
    expect(drillNames('localhost:21010')).toMatchObject({
      host: 'localhost',
      federationPort: 21_010,
      delegated: false,
      srv: {},
    });
  });

  it('a server name without a port is found by .well-known, SRV, or port 8448', () => {
    const names = drillNames('example.com');
    expect(names).toMatchObject({
      federationPort: 8448,
      delegated: true,
      srv: { '_matrix-fed._tcp.example.com': { target: 'example.com', port: 8448 } },
    });
    expect(names.hostNames).toContain('example.com');
  });

  it('ports are all different, also when the server name takes one of the usual ones', () => {
    const names = drillNames('example.com:18009');
    const ports = [
      names.federationPort,
      names.clientPort,
      names.probePort,
      names.peerPort,
      names.peerClientPort,
    ];
    expect(new Set(ports).size).toBe(5);
  });

  it('probe and second homeserver have new names in each drill, in a domain that never exists', () => {
    const [first, second] = [drillNames('example.com'), drillNames('example.com')];
    expect(first.probe).not.toBe(second.probe);
    expect(first.peer).toMatch(/^peer-[0-9a-f]{8}\.drill\.invalid:\d+$/);
  });

  it('refuses what is no server name', () => {
    expect(() => drillNames('not a name')).toThrow(expect.objectContaining({ code: 'drill-impossible' }));
  });
});
