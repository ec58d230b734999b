import { setTimeout as sleep } from 'node:timers/promises';
import { inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { canonicalBytes } from '../../src/core/canonical-json.ts';
import { verifyEd25519 } from '../../src/core/ed25519.ts';
import { freePorts } from '../../src/demo/lab/index.ts';
import type { Json, MatrixClient } from '../../src/demo/world/client.ts';
import { concurrently } from '../../src/demo/world/concurrently.ts';
import { uploadDeviceKeys } from '../../src/demo/world/device-keys.ts';
import { picture } from '../../src/demo/world/picture.ts';

describe('pictures of the demo', () => {
  it('are PNGs of the asked size, and no two are alike', () => {
    const png = Buffer.from(picture(64, 80, 0.3));
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([64, 80]);
    const length = png.readUInt32BE(33);
    expect(png.subarray(37, 41).toString()).toBe('IDAT');
    expect(inflateSync(png.subarray(41, 41 + length))).toHaveLength(80 * (1 + 64 * 3));
    expect(picture(64, 80, 0.3)).not.toEqual(picture(64, 80, 0.3));
  });

  it('are as large as their noise', () => {
    expect(picture(1200, 900, 0.3, 300).length).toBeGreaterThan(300 * 1200 * 3);
  });
});

describe('device keys of the demo', () => {
  it('are signed by the device, as other clients would check', async () => {
    let uploaded: Record<string, Json> = {};
    const account = { userId: '@alice:example.org', deviceId: 'PHONE', accessToken: '', clientUrl: '' };
    const request = async (_method: string, _path: string, body: unknown) =>
      void (uploaded = body as typeof uploaded);
    await uploadDeviceKeys({ account, request } as unknown as MatrixClient);
    const { device_keys: device, one_time_keys: oneTime, fallback_keys: fallback } = uploaded;
    const publicKey = Buffer.from((device!['keys'] as Record<string, string>)['ed25519:PHONE']!, 'base64');
    const signedKeys = [device!, ...Object.values({ ...oneTime, ...fallback })] as Json[];
    expect(signedKeys).toHaveLength(22);
    for (const { signatures, ...content } of signedKeys) {
      const signature = (signatures as Record<string, Record<string, string>>)['@alice:example.org']![
        'ed25519:PHONE'
      ]!;
      expect(verifyEd25519(publicKey, canonicalBytes(content), Buffer.from(signature, 'base64'))).toBe(true);
    }
  });
});

describe('work of the demo', () => {
  it('runs at most so many at once, and keeps the order of results', async () => {
    let [running, most] = [0, 0];
    const results = await concurrently([5, 1, 4, 2, 3], 2, async (ms) => {
      running += 1;
      most = Math.max(most, running);
      await sleep(ms);
      running -= 1;
      return ms * 10;
    });
    expect(results).toEqual([50, 10, 40, 20, 30]);
    expect(most).toBe(2);
  });

  it('fails with the first error, and begins nothing after it', async () => {
    const begun: number[] = [];
    const working = concurrently([1, 2, 3, 4, 5, 6], 2, async (item) => {
      begun.push(item);
      await sleep(item);
      if (item === 1) throw new Error('no');
    });
    await expect(working).rejects.toThrow('no');
    await sleep(20);
    expect(begun).toEqual([1, 2]);
  });

  it('finds ports that differ', async () => {
    expect(new Set(await freePorts(20)).size).toBe(20);
  });
});
