import { describe, expect, it } from 'vitest';
import { isPublicAddress, liveResolvers, pinAddress } from '../../../src/verify/probe/live-resolvers.ts';

describe('addresses of other servers', () => {
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'fd00::1',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '64:ff9b::7f00:1',
    'not an address',
  ])('do not lead to %s', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each(['1.1.1.1', '172.32.0.1', '2606:4700::1111', '::ffff:1.1.1.1'])('may be %s', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it('are pinned: the first public one, private ones only when allowed', async () => {
    const lookup = async () => ['127.0.0.1', '1.1.1.1'];
    expect(await pinAddress('example.com', { allowPrivate: false, lookup })).toBe('1.1.1.1');
    expect(await pinAddress('example.com', { allowPrivate: true, lookup })).toBe('127.0.0.1');
    await expect(pinAddress('127.0.0.1', { allowPrivate: false, lookup })).rejects.toThrow(
      'not a public address',
    );
    await expect(pinAddress('example.com', { allowPrivate: false, lookup: async () => [] })).rejects.toThrow(
      'has no address',
    );
  });

  it('of .well-known are not connected to when they are private', async () => {
    const resolvers = liveResolvers({
      allowPrivate: false,
      timeoutMs: 1000,
      lookup: async () => ['127.0.0.1'],
    });
    expect(await resolvers.wellKnown('example.com')).toBeUndefined();
  });
});
