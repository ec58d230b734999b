import { z } from '../config/zod.ts';
import { verifyEd25519, type SigningKey } from '../core/ed25519.ts';
import { LifeboatError } from '../core/errors.ts';
import { logKey, sha256Hex } from './object-names.ts';
import { keyObjectSchema, recipientsSchema } from './recipient.ts';

/**
 * A record of the commit log, `log/<seq>.json`. Exactly two lines, each ended by one newline: the JSON body, and 128
 * lower-case hex digits, the Ed25519 signature over the body's exact bytes. Nothing is parsed before it is verified, and no
 * other bytes mean the same record: a signature inside the JSON, or in base64, would leave room for flips that nobody sees.
 */
export const FIRST_PREVIOUS = '0'.repeat(64);

const hex = (digits: number) =>
  z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`), `expected ${digits} lower-case hex digits`);
const count = z.int().nonnegative();
const snapshotId = hex(32);
const signerRole = z.enum(['host', 'admin']);

const common = {
  v: z.literal(1),
  repo_id: hex(32),
  seq: z.int().positive(),
  prev_sha256: hex(64),
  config_sha256: hex(64),
  time: z.iso.datetime(),
};
const anyone = { ...common, signer: signerRole };
const adminOnly = { ...common, signer: z.literal('admin') };
const evidence = {
  snapshot: snapshotId,
  result: z.enum(['PASS', 'FAIL']),
  summary: z.record(z.string(), z.union([z.string(), z.number()])),
};

const bodySchema = z.discriminatedUnion('type', [
  /** The first record: binds lifeboat.json to the admin key before any snapshot exists. */
  z.strictObject({ ...adminOnly, type: z.literal('init') }),
  z.strictObject({
    ...anyone,
    type: z.literal('snapshot'),
    id: snapshotId,
    manifest: z.string(),
    refs: z.array(z.string()).min(1),
    files: count,
    bytes: count,
    new_bytes: count,
    hostname: z.string(),
    server_name: z.string(),
    tags: z.array(z.string()),
    lifeboat_version: z.string(),
  }),
  z.strictObject({ ...anyone, ...evidence, type: z.literal('verify') }),
  z.strictObject({ ...anyone, ...evidence, type: z.literal('drill') }),
  z.strictObject({
    ...adminOnly,
    type: z.literal('forget'),
    snapshots: z.array(z.strictObject({ id: snapshotId, reason: z.string() })).min(1),
  }),
  z.strictObject({ ...adminOnly, type: z.literal('pin'), snapshot: snapshotId, pinned: z.boolean() }),
  /** Objects that are about to be deleted; nobody may lean on them from here on. */
  z.strictObject({ ...adminOnly, type: z.literal('mark'), objects: z.array(z.string()).min(1) }),
  /** Who can open the repository from here on: `data_key` holds the data key, sealed to them. */
  z.strictObject({
    ...adminOnly,
    type: z.literal('recipients'),
    recipients: recipientsSchema,
    data_key: keyObjectSchema,
  }),
  /** All objects of the mark with this sequence number are gone. */
  z.strictObject({ ...adminOnly, type: z.literal('done'), mark: z.int().positive() }),
]);

const KNOWN_TYPES: ReadonlySet<string> = new Set([
  'init',
  'snapshot',
  'verify',
  'drill',
  'forget',
  'pin',
  'recipients',
  'mark',
  'done',
]);
const unknownBodySchema = z.looseObject({ ...anyone, type: z.string() });

type RecordBody = z.infer<typeof bodySchema>;
export type RecordOf<Type extends RecordBody['type']> = Extract<RecordBody, { type: Type }>;

/** What the caller of `append` says; the log adds the rest. */
export type RecordDraft = RecordBody extends infer Body
  ? Body extends RecordBody
    ? Omit<Body, keyof typeof common | 'signer'>
    : never
  : never;

export interface LogEntry {
  readonly seq: number;
  /** SHA-256 of the whole file, which the next record names. */
  readonly sha256: string;
  /** Undefined for a type of a later version: such a record does not hide the others, but forbids writing. */
  readonly body: RecordBody | undefined;
  readonly type: string;
  /** By the store's clock, which a thief of the host's keys cannot turn back. */
  readonly storedAt?: Date;
}

export interface Signer {
  readonly role: z.infer<typeof signerRole>;
  readonly key: SigningKey;
}

/** Where a record must stand and who may have signed it. */
export interface RecordPlace {
  readonly repositoryId: string;
  readonly configSha256: string;
  readonly seq: number;
  readonly previousSha256: string;
  readonly publicKeys: Readonly<Record<Signer['role'], Uint8Array>>;
}

export function encodeRecord(draft: RecordDraft, place: RecordPlace, signer: Signer, time: Date): Uint8Array {
  const body = bodySchema.parse({
    v: 1,
    repo_id: place.repositoryId,
    seq: place.seq,
    prev_sha256: place.previousSha256,
    config_sha256: place.configSha256,
    time: time.toISOString(),
    signer: signer.role,
    ...draft,
  });
  const line = Buffer.from(JSON.stringify(body), 'utf8');
  const signature = Buffer.from(signer.key.sign(line)).toString('hex');
  return Buffer.concat([line, Buffer.from(`\n${signature}\n`, 'ascii')]);
}

/** Errors: `repository-damaged`, naming the record and what is wrong with it. */
export function decodeRecord(bytes: Uint8Array, place: RecordPlace): LogEntry {
  const { line, signature } = splitLines(bytes, place.seq);
  const body = parseBody(line, place.seq);
  const role = body.signer;
  if (!verifyEd25519(place.publicKeys[role], line, signature))
    throw damagedRecord(place.seq, `the signature is not one of the ${role} key`);
  const expected = {
    repo_id: place.repositoryId,
    seq: place.seq,
    prev_sha256: place.previousSha256,
    config_sha256: place.configSha256,
  } as const;
  for (const [field, value] of Object.entries(expected)) {
    if (body[field as keyof typeof expected] !== value)
      throw damagedRecord(place.seq, MISPLACED[field as keyof typeof expected]);
  }
  return {
    seq: place.seq,
    sha256: sha256Hex(bytes),
    type: body.type,
    body: KNOWN_TYPES.has(body.type) ? (body as RecordBody) : undefined,
  };
}

const MISPLACED = {
  repo_id: 'it belongs to another repository',
  seq: 'its number is not the one of its name',
  prev_sha256: 'it does not follow the record before it',
  config_sha256: 'lifeboat.json is not the file it was signed with',
} as const;

const NEWLINE = 0x0a;
const SIGNATURE_LINE = /^[0-9a-f]{128}\n$/;

function splitLines(bytes: Uint8Array, seq: number): { line: Uint8Array; signature: Uint8Array } {
  const end = bytes.indexOf(NEWLINE);
  const tail = end === -1 ? '' : Buffer.from(bytes.subarray(end + 1)).toString('latin1');
  if (!SIGNATURE_LINE.test(tail))
    throw damagedRecord(seq, 'it is not a line of JSON and a line of 128 hex digits');
  return { line: bytes.subarray(0, end), signature: Buffer.from(tail.slice(0, 128), 'hex') };
}

function parseBody(line: Uint8Array, seq: number): RecordBody | z.infer<typeof unknownBodySchema> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line));
  } catch {
    throw damagedRecord(seq, 'its first line is not JSON');
  }
  const field = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
  const type = typeof field === 'string' ? field : '';
  const parsed = KNOWN_TYPES.has(type) ? bodySchema.safeParse(value) : unknownBodySchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const onlyAdmin =
    issue?.path[0] === 'signer' ? `a ${type} record must be signed by the admin key` : undefined;
  throw damagedRecord(
    seq,
    onlyAdmin ?? `${issue?.path.join('.') ?? 'its body'}: ${issue?.message ?? 'invalid'}`,
  );
}

export function damagedRecord(seq: number, problem: string): LifeboatError {
  return new LifeboatError('repository-damaged', `log record ${logKey(seq)} is refused: ${problem}`, {
    hint: [
      'Put the record back from another copy of the repository; records never change.',
      'Snapshots can still be restored by hand: see RECOVER.md in the repository.',
    ],
    context: { object: logKey(seq), seq },
  });
}
