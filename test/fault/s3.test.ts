import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { retrying } from '../../src/storage/retrying.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { openS3Store } from '../../src/storage/s3/store.ts';
import { backUp, makeRepository, readBack, sampleSource } from '../repository/fixture.ts';
import { listAll } from '../repository/memory-store.ts';
import { startFaultProxy, type Asked, type Fault, type FaultProxy } from '../storage/s3/fault-proxy.ts';
import { startS3, type S3Server } from '../storage/s3/server.ts';

/** Rows 23 to 28 of the fault matrix (docs/repository-format.md): a real S3 server behind a proxy that spoils what passes. */
let server: S3Server;
let proxy: FaultProxy;
let bare: ObjectStore;
let store: ObjectStore;
let bucket: string;

const STALL_MS = 400;
const body = Buffer.from('contents');

beforeAll(async () => {
  server = await startS3();
  proxy = await startFaultProxy(server.port);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  proxy.plan(() => undefined);
  bucket = await server.bucket();
  bare = await openS3Store({
    ...server.options(bucket, 'matrix'),
    endpoint: proxy.endpoint,
    stallMs: STALL_MS,
  });
  store = impatient(bare);
});

/** Retries as every store does, without the waiting. */
function impatient(bareStore: ObjectStore): ObjectStore {
  return retrying(bareStore, undefined, { wait: async () => undefined });
}

/** The first `times` requests of this method that name this. */
function first(
  times: number,
  method: string,
  part: string,
  fault: Fault,
): (asked: Asked) => Fault | undefined {
  let left = times;
  return (asked) => (asked.method === method && asked.path.includes(part) && left-- > 0 ? fault : undefined);
}

const PASSING: readonly [string, Fault][] = [
  ['500', { answer: 500, name: 'InternalError' }],
  ['502 without a word of XML', { answer: 502, name: '' }],
  ['503 SlowDown', { answer: 503, name: 'SlowDown' }],
  ['429', { answer: 429, name: 'TooManyRequests' }],
  ['a reset', 'reset'],
  ['a stall', 'stall'],
  ['a lost answer', 'lose the answer'],
];

describe.each(PASSING)('after %s', (_name, fault) => {
  it('a put goes on, and there is one object', async () => {
    proxy.plan(first(2, 'PUT', 'packs/a', fault));
    expect(await store.put('packs/a', body)).toMatch(fault === 'lose the answer' ? /^exists$/ : /^created$/);
    expect(proxy.hits.length).toBeGreaterThan(0);
    expect(await store.get('packs/a')).toEqual(body);
  });

  it('reading, looking, listing and deleting go on', async () => {
    await store.put('packs/a', body);
    proxy.plan(first(2, 'GET', 'packs/a', fault));
    expect(await store.get('packs/a')).toEqual(body);
    expect(proxy.hits).toHaveLength(2);
    proxy.plan(first(2, 'HEAD', 'packs/a', fault));
    expect(await store.stat('packs/a')).toMatchObject({ sizeBytes: body.length });
    expect(proxy.hits).toHaveLength(2);
    proxy.plan(first(2, 'GET', 'list-type=2', fault));
    expect((await listAll(store)).map(({ key }) => key)).toEqual(['packs/a']);
    expect(proxy.hits).toHaveLength(2);
    proxy.plan(first(2, 'DELETE', 'packs/a', fault));
    await store.delete('packs/a');
    expect(proxy.hits).toHaveLength(2);
    proxy.plan(() => undefined);
    expect(await store.stat('packs/a')).toBeUndefined();
  });

  it('the error is transient, and says so', async () => {
    proxy.plan((asked) => (asked.method === 'GET' ? fault : undefined));
    await expect(bare.get('packs/a')).rejects.toMatchObject({
      code: 'store-unreachable',
      transient: true,
      message: expect.stringContaining('cannot read packs/a'),
    });
  });
});

it.each(['cut the answer', 'stall the answer'] as const)(
  'a get goes on when the server has %s',
  async (fault) => {
    const large = randomBytes(3_000_000);
    await store.put('packs/a', large);
    proxy.plan(first(2, 'GET', 'packs/a', fault));
    expect(Buffer.compare(await store.get('packs/a'), large)).toBe(0);
    expect(proxy.hits).toHaveLength(2);
  },
);

it('a body that came too slowly is sent again', async () => {
  proxy.plan(first(2, 'PUT', 'packs/a', { answer: 400, name: 'RequestTimeout' }));
  expect(await store.put('packs/a', body)).toBe('created');
  expect(proxy.hits).toHaveLength(2);
});

it('a large body whose answer is lost is not sent again', async () => {
  const large = randomBytes(8_000_000);
  proxy.plan(first(1, 'PUT', 'packs/a', 'lose the answer'));
  expect(await bare.put('packs/a', large)).toBe('exists');
  expect(proxy.hits).toHaveLength(1);
  expect(Buffer.compare(await bare.get('packs/a'), large)).toBe(0);
});

const PERMANENT: readonly [string, Fault, object][] = [
  [
    'denied permissions',
    { answer: 403, name: 'AccessDenied' },
    {
      code: 'store-denied',
      message: expect.stringContaining('access was denied'),
      hints: [expect.stringContaining('s3:GetObject')],
    },
  ],
  [
    'an unknown access key',
    { answer: 403, name: 'InvalidAccessKeyId' },
    { code: 'store-denied', message: expect.stringContaining('access key is not known') },
  ],
  [
    'a wrong secret key',
    { answer: 403, name: 'SignatureDoesNotMatch' },
    { code: 'store-denied', message: expect.stringContaining('secret key is wrong') },
  ],
  [
    'credentials that have expired',
    { answer: 400, name: 'ExpiredToken' },
    { code: 'store-denied', message: expect.stringContaining('credentials have expired') },
  ],
  [
    'a clock that is off',
    {
      answer: 403,
      name: 'RequestTimeTooSkewed',
      headers: { date: new Date(Date.now() + 3_600_000).toUTCString() },
    },
    {
      code: 'store-denied',
      message: expect.stringMatching(/clocks differ: that of this host is (59|60) minutes behind/),
    },
  ],
  [
    'another region',
    { answer: 301, name: 'PermanentRedirect', headers: { 'x-amz-bucket-region': 'eu-central-1' } },
    { code: 'store-denied', message: expect.stringContaining('eu-central-1') },
  ],
  ['a bucket that is gone', { answer: 404, name: 'NoSuchBucket' }, { code: 'repository-missing' }],
  ['a full server', { answer: 507, name: 'InsufficientStorage' }, { code: 'disk-full' }],
  ['a full quota', { answer: 403, name: 'QuotaExceeded' }, { code: 'disk-full' }],
];

it.each(PERMANENT)('%s are told at once, in their own words', async (_name, fault, expected) => {
  proxy.plan((asked) => (asked.method === 'GET' ? fault : undefined));
  await expect(store.get('packs/a')).rejects.toMatchObject({ transient: false, ...expected });
  expect(proxy.hits).toHaveLength(1);
});

it('a clock that is off stays an error: it is not got used to', async () => {
  const headers = { date: new Date(Date.now() + 3_600_000).toUTCString() };
  proxy.plan(() => ({ answer: 403, name: 'RequestTimeTooSkewed', headers }));
  for (let turn = 0; turn < 2; turn += 1)
    await expect(bare.get('packs/a')).rejects.toMatchObject({ code: 'store-denied' });
});

it('two writers of one record: the loser hears it, also by 409 and 412 of a busy server', async () => {
  proxy.plan(first(3, 'PUT', 'log/', { answer: 409, name: 'ConditionalRequestConflict' }));
  expect(await store.put('log/0000000001.json', body)).toBe('created');
  expect(proxy.hits).toHaveLength(3);
  expect(await store.put('log/0000000001.json', Buffer.from('other'))).toBe('exists');
  expect(await store.get('log/0000000001.json')).toEqual(body);
});

describe('a repository behind an unreliable line', () => {
  it('commits once although the answer to the commit is lost', async () => {
    await using fixture = await makeRepository(undefined, store);
    const source = sampleSource();
    proxy.plan(first(1, 'PUT', 'log/0000000002', 'lose the answer'));
    const { entry } = await backUp(await fixture.open(), source);
    expect(proxy.hits).toHaveLength(1);
    expect((await listAll(store, 'log/')).map(({ key }) => key)).toEqual([
      'log/0000000001.json',
      'log/0000000002.json',
    ]);
    const repository = await fixture.open();
    expect((await repository.snapshots()).map(({ id }) => id)).toEqual([entry.id]);
    expect(await readBack(repository, entry.id)).toEqual(source);
  });

  it('backs up and restores although every third request fails in another way', async () => {
    await using fixture = await makeRepository(undefined, store);
    const faults = PASSING.map(([, fault]) => fault);
    let count = 0;
    proxy.plan(() => ((count += 1) % 3 === 0 ? faults[(count / 3) % faults.length] : undefined));
    const source = sampleSource();
    const { entry } = await backUp(await fixture.open(), source);
    expect(await readBack(await fixture.open(), entry.id)).toEqual(source);
    expect(proxy.hits.length).toBeGreaterThan(10);
    proxy.plan(() => undefined);
    expect(await (await fixture.open()).check({ readData: 'all', decrypt: true })).toMatchObject({
      ok: true,
      findings: [],
    });
  });

  it('fails as a whole, with nothing visible, when the server stays away', async () => {
    await using fixture = await makeRepository(undefined, store);
    proxy.plan(({ method, path }) =>
      method === 'PUT' && path.includes('packs/') ? { answer: 503, name: 'SlowDown' } : undefined,
    );
    await expect(backUp(await fixture.open(), sampleSource())).rejects.toMatchObject({
      code: 'store-unreachable',
    });
    proxy.plan(() => undefined);
    expect(await (await fixture.open()).snapshots()).toEqual([]);
  });

  it('names the object whose bytes arrive changed, and restores nothing of it', async () => {
    await using fixture = await makeRepository(undefined, store);
    const { entry } = await backUp(await fixture.open(), sampleSource());
    const flip = (bytes: Buffer): Buffer => {
      bytes[bytes.length >> 1]! ^= 1;
      return bytes;
    };
    proxy.plan(({ method, path }) =>
      method === 'GET' && path.includes('/packs/') ? { edit: flip } : undefined,
    );
    await expect(readBack(await fixture.open(), entry.id)).rejects.toMatchObject({
      code: 'repository-damaged',
      message: expect.stringMatching(/packs\/[0-9a-f]{2}\/[0-9a-f]{64}/),
    });
    expect(proxy.hits.length).toBeGreaterThan(0);
  });

  it('finds the newest snapshot although listings lag behind, and commits after it', async () => {
    await using fixture = await makeRepository(undefined, store);
    const { entry: first } = await backUp(await fixture.open(), sampleSource('a'));
    const { entry: second } = await backUp(await fixture.open(), sampleSource('b'));
    const newest = /<Contents>(?:(?!<\/Contents>).)*log\/000000000[3-9]\.json.*?<\/Contents>/gs;
    proxy.plan(({ path }) =>
      path.includes('list-type=2') && path.includes('log/')
        ? { edit: (xml) => Buffer.from(xml.toString().replace(newest, '')) }
        : undefined,
    );
    expect((await (await fixture.open()).snapshots()).map(({ id }) => id)).toEqual([first.id, second.id]);
    const { entry: third } = await backUp(await fixture.open(), sampleSource('c'));
    expect(third.seq).toBe(4);
    expect(proxy.hits.length).toBeGreaterThan(2);
    proxy.plan(() => undefined);
    expect(await (await fixture.open()).snapshots()).toHaveLength(3);
  });

  it('refuses to go round for ever in a listing that says there is more and not where', async () => {
    await store.put('packs/a', body);
    proxy.plan(({ path }) =>
      path.includes('list-type=2')
        ? { edit: (xml) => Buffer.from(xml.toString().replace('<IsTruncated>false', '<IsTruncated>true')) }
        : undefined,
    );
    await expect(listAll(bare)).rejects.toMatchObject({ code: 'store-unreachable' });
    expect(proxy.hits).toHaveLength(1);
  });
});
