import type { Check, StepId, StepResult } from '../../../src/restore/step.ts';
import type { DrillReport } from '../../../src/verify/report/model.ts';

/** Reports as drills make them: of a server of some size, once proven, once with a lost file and an exchanged key. */
const START = Date.parse('2026-11-23T03:00:07.412Z');

const pass = (id: string, title: string, observed?: string, durationMs = 12, expected?: string): Check => ({
  id,
  title,
  result: 'pass',
  observed,
  expected,
  durationMs,
});

const PUBLIC_KEY = 'ed25519:a_Kcaf SHA256:kq7mW3tq0C9oYpV1sYkTnq2mFJ7ZyqZb3xk9T1u0a5E';

const databaseChecks: Check[] = [
  pass('database.locale', 'encoding UTF8, collation and character type C', 'UTF8 C C', 3, 'UTF8 C C'),
  pass(
    'database.homeserver',
    'it is the database of chat.example.org',
    '412 users, 1893 rooms, 5210377 events',
    41,
  ),
  pass(
    'database.rows-equal',
    'every table has the rows it had in the snapshot',
    '0 tables differ',
    9210,
    '0 tables differ',
  ),
  pass(
    'database.sequences',
    'no sequence is behind its value in the snapshot',
    '0 sequences behind',
    12,
    '0 sequences behind',
  ),
  pass('database.indexes-equal', 'every index is there', '0 indexes missing', 8, '0 indexes missing'),
  pass(
    'database.constraints-equal',
    'every constraint is there',
    '0 constraints missing',
    7,
    '0 constraints missing',
  ),
  pass(
    'database.content-equal',
    'the content of the tables that matter most is unchanged',
    '0 tables differ',
    4100,
    '0 tables differ',
  ),
  pass(
    'database.newest-event',
    'the newest event is the one of the snapshot',
    '2026-11-23T02:14:58.120Z',
    3,
    '2026-11-23T02:14:58.120Z',
  ),
  {
    id: 'database.one-time-keys',
    title: 'no one-time keys in the dump',
    result: 'warn',
    observed: '318 one-time keys',
    detail: [
      'They are removed before the first start: keys that were handed out already must not be given out again.',
    ],
    durationMs: 5,
  },
];

const mediaChecks: Check[] = [
  pass(
    'media.as-in-manifest',
    'every file of the manifest is on the disk with its SHA-256',
    '0 files differ',
    6120,
    '18412 files equal',
  ),
  pass(
    'media.rows-have-files',
    'each of 18412 media rows of the database has its file',
    '0 rows without file',
    5230,
    '0 rows without file',
  ),
  pass('media.content', 'sizes and SHA-256 are as the database says', '0 files differ', 10, '0 files differ'),
];

const keyChecks: Check[] = [
  pass('keys.present', 'there is a signing key', PUBLIC_KEY, 2, 'at least 1 key'),
  pass('keys.fingerprint', 'its public half is the one in the manifest', PUBLIC_KEY, 1, PUBLIC_KEY),
  pass('keys.mode', 'nobody but its owner and group can read it', 'mode 0600', 1, 'mode 0600 or 0640'),
  pass(
    'events.signatures',
    'old events of every user verify under the key',
    '412 of 412 events',
    830,
    '412 of 412 events',
  ),
];

const configChecks: Check[] = [
  pass(
    'config.version',
    'the homeserver has the version that the snapshot was taken of',
    '1.163.2',
    2,
    '1.163.2',
  ),
  pass(
    'config.server-name',
    'its server_name is the one of the database',
    'chat.example.org',
    1,
    'chat.example.org',
  ),
  pass(
    'config.loads',
    'the homeserver reads its restored configuration',
    'exit status 0',
    2310,
    'exit status 0',
  ),
];

const startChecks: Check[] = [
  pass('start.ready', 'the homeserver says that it is healthy', '200 OK', 22, '200 OK'),
  pass('start.same-keys', 'the start changed no signing key', PUBLIC_KEY, 2, PUBLIC_KEY),
  pass(
    'start.no-one-time-keys',
    'no one-time key of the backup can be given out again',
    '0 keys',
    2,
    '0 keys',
  ),
];

const federationChecks: Check[] = [
  pass(
    'federation.server-keys',
    'it publishes the backed-up key, and signs with it',
    PUBLIC_KEY,
    31,
    PUBLIC_KEY,
  ),
  pass(
    'federation.wrong-key-refused',
    'a request signed with a wrong key is refused',
    '401 M_UNAUTHORIZED',
    18,
    '401',
  ),
  pass('federation.profile', 'it answers for its users', '200 OK', 24, '200 OK'),
  pass(
    'federation.join',
    'the probe joins a room (make_join, send_join)',
    'room version 12, 14 state events',
    410,
  ),
  pass('federation.message-out', 'a message of the probe arrives in the room', 'seen after 182 ms', 190),
  pass(
    'federation.message-in',
    'a message of the restored server arrives at the probe',
    'signed, seen after 240 ms',
    260,
  ),
  pass(
    'federation.media',
    'media are served over federation with their SHA-256',
    '5 of 5 files',
    95,
    '5 of 5 files',
  ),
  pass('federation.peer', 'a second real homeserver talks to it', 'joined, 1 message each way', 5320),
  pass(
    'sealed.no-lookups',
    'the copy did not look for anybody outside (push, mail, federation, appservices)',
    '0 names looked up',
    10_010,
    '0 names looked up',
  ),
  pass('sealed.no-packets', 'no packet left the sealed environment', '0 packets', 4, '0 packets'),
];

interface Span {
  readonly id: StepId;
  readonly title: string;
  readonly applyMs: number;
  readonly checkMs: number;
  readonly checks: readonly Check[];
  readonly error?: StepResult['error'];
}

const spans: readonly Span[] = [
  {
    id: 'restore-database',
    title: 'Restore database',
    applyMs: 61_420,
    checkMs: 13_390,
    checks: databaseChecks,
  },
  { id: 'restore-media', title: 'Restore media', applyMs: 24_800, checkMs: 11_360, checks: mediaChecks },
  { id: 'restore-signing-keys', title: 'Restore signing keys', applyMs: 14, checkMs: 834, checks: keyChecks },
  {
    id: 'verify-configuration',
    title: 'Verify configuration',
    applyMs: 120,
    checkMs: 2313,
    checks: configChecks,
  },
  { id: 'start-services', title: 'Start services', applyMs: 7420, checkMs: 26, checks: startChecks },
  { id: 'test-federation', title: 'Test federation', applyMs: 2, checkMs: 16_362, checks: federationChecks },
];

function stepsOf(list: readonly Span[]): StepResult[] {
  let at = START + 2400;
  return list.map((span, index) => {
    const startedAt = new Date(at).toISOString();
    at += span.applyMs + span.checkMs;
    return { ...span, number: index + 1, result: resultOf(span), startedAt };
  });
}

function resultOf({ checks, error }: Span): StepResult['result'] {
  if (error !== undefined) return 'fail';
  const order = ['fail', 'warn', 'pass'] as const;
  return order.find((result) => checks.some((check) => check.result === result)) ?? 'skip';
}

export const passReport: DrillReport = {
  version: 1,
  id: '0b0a52c4-7e55-4a6f-9a1c-0d1f3c0a5be1',
  result: 'PASS',
  exitStatus: 0,
  lifeboatVersion: '0.1.0',
  startedAt: new Date(START).toISOString(),
  finishedAt: new Date(START + 142_300).toISOString(),
  snapshot: {
    id: '4f2a81c39d0e4b7fa6c2d8e1b7a9035c',
    takenAt: '2026-11-23T02:15:00.412Z',
    source: '/srv/lifeboat',
    serverName: 'chat.example.org',
    homeserver: 'synapse',
    homeserverVersion: '1.163.2',
    postgresVersion: '15.14',
  },
  environment: {
    kind: 'process',
    sealed: true,
    user: 'uid 63928 in a namespace of its own',
    escapes: [
      { target: 'TCP 1.1.1.1:443', escaped: false, observed: 'ENETUNREACH' },
      { target: 'TCP [2606:4700:4700::1111]:443', escaped: false, observed: 'ENETUNREACH' },
      { target: 'TCP 10.0.0.1:80', escaped: false, observed: 'ENETUNREACH' },
      { target: 'UDP 9.9.9.9:53', escaped: false, observed: 'ENETUNREACH' },
      { target: 'dns matrix.org', escaped: false, observed: 'ENOTFOUND' },
      { target: 'socket /run/postgresql/.s.PGSQL.5432', escaped: false, observed: 'ENOENT' },
      { target: 'file /etc/shadow', escaped: false, observed: 'EACCES' },
    ],
    outsidePackets: 0,
  },
  steps: stepsOf(spans),
  rtoMs: 93_776,
  rpo: { newestEventAt: '2026-11-23T02:14:58.120Z', atSnapshotMs: 2292 },
  sizes: {
    databaseBytes: 7_412_350_976,
    mediaBytes: 11_902_437_120,
    mediaFiles: 18_412,
    users: 412,
    rooms: 1893,
    events: 5_210_377,
  },
  defanged: [
    { setting: 'federation_domain_whitelist', reason: 'talks to nobody but the probe' },
    { setting: 'app_service_config_files', reason: 'bridges would be sent old transactions again' },
    { setting: 'email', reason: 'no mail to users' },
    { setting: 'push', reason: 'no notifications to phones' },
    { setting: 'url_preview_enabled', reason: 'fetches nothing from the web' },
    { setting: 'listeners', reason: 'loopback inside the environment only' },
  ],
  notTested: [
    'the real name in the real DNS, its .well-known or SRV record, and its public certificate: names resolve inside the drill only',
    'reverse proxy, load balancer, firewall and workers: the drill folds everything into one process',
    'appservices (bridges), pushers, e-mail, identity server, SSO and TURN: switched off so that a copy harms nobody',
    'what happened after the snapshot was taken: see docs/disaster.md',
  ],
};

const lostMedia: Check = {
  id: 'media.rows-have-files',
  title: 'each of 18412 media rows of the database has its file',
  result: 'fail',
  expected: '0 rows without file',
  observed: '2 rows without file',
  detail: [
    'local_content/aB/cD/efGhIjKlMnOpQrStUv',
    'local_content/xY/zW/vUtSrQpOnMlKjIhGf',
    'The homeserver answers 404 for these.',
  ],
  durationMs: 5230,
};

const otherKey: Check = {
  id: 'keys.fingerprint',
  title: 'its public half is the one in the manifest',
  result: 'fail',
  expected: PUBLIC_KEY,
  observed: 'ed25519:a_QqXz SHA256:0d1uXq8Yz3WmJfJkVtJ0Cw3sO7cQG0l0n9cZrT4yH2s',
  detail: ['Do not start a server with this key: other servers would refuse its signatures.'],
  durationMs: 1,
};

const skipped = (span: Span): Span => ({
  ...span,
  applyMs: 0,
  checkMs: 0,
  checks: [
    {
      id: `${span.id}.skipped`,
      title: 'not run, because step 3 (Restore signing keys) did not pass',
      result: 'skip',
    },
  ],
});

/** Step 2 lost two files, step 3 has somebody else's key, step 4 could not be carried out, 5 and 6 were not run. */
export const failReport: DrillReport = {
  ...passReport,
  result: 'FAIL',
  exitStatus: 20,
  finishedAt: new Date(START + 117_900).toISOString(),
  steps: stepsOf([
    spans[0]!,
    { ...spans[1]!, checks: [mediaChecks[0]!, lostMedia, mediaChecks[2]!] },
    { ...spans[2]!, checks: [keyChecks[0]!, otherKey, keyChecks[2]!] },
    {
      ...spans[3]!,
      checkMs: 0,
      checks: [],
      error: {
        code: 'command-failed',
        message: 'python failed with exit status 1: No module named authlib',
        hints: ['Install what the configuration needs beside Synapse, here: authlib.'],
      },
    },
    skipped(spans[4]!),
    skipped(spans[5]!),
  ]),
};

/** Every text says this: it must arrive as text, in every rendering. */
export const HOSTILE =
  '</style></script><script>alert(1)</script>"\'><img src=x onerror=alert(2)>&amp; ]]> | `x` @room #1 \u0000\u001b[2J\u202eevil\ud800 ](javascript:alert(3))\n# not a heading\n';

export function hostile(report: DrillReport): DrillReport {
  return replaceTexts(report) as DrillReport;
}

/** Leaves alone what the model's types close: results and ids of steps. */
const CLOSED = new Set(['result', 'version']);

function replaceTexts(value: unknown): unknown {
  if (typeof value === 'string') return HOSTILE;
  if (Array.isArray(value)) return value.map(replaceTexts);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, CLOSED.has(key) ? item : replaceTexts(item)]),
  );
}
