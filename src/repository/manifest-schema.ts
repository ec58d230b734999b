import { z } from '../config/zod.ts';
import { LifeboatError } from '../core/errors.ts';
import type { Manifest, MediaFile } from './manifest.ts';

/** Schemas of manifest.ts. A manifest is checked when it is read: it decides which paths a restore writes. */
const size = z.int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits');
const mode = z.int().min(0).max(0o7777);
const time = z.iso.datetime();
const strings = z.array(z.string());

/** Relative, with `/`, no empty, `.` or `..` component, no NUL, no component that a file system refuses. */
const relativePath = z.string().refine(isSafeRelativePath, 'expected a relative path without . or ..');

function isSafeRelativePath(path: string): boolean {
  if (path.length === 0 || path.length > 4096 || path.includes('\0')) return false;
  return path
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= 255);
}

const content = z.strictObject({ sizeBytes: size, sha256, blobs: z.array(sha256) });

const archive = z.strictObject({
  object: z.string().regex(/^archives\/[0-9a-f]{64}\.age$/),
  sizeBytes: size,
  files: z.array(
    z.strictObject({
      path: relativePath,
      source: z.string(),
      role: z.string(),
      sizeBytes: size,
      sha256,
      mode,
      type: z.enum(['file', 'directory', 'symlink']).optional(),
      target: z.string().max(4096).optional(),
      uid: size.optional(),
      gid: size.optional(),
      owner: z.string().max(64).optional(),
      group: z.string().max(64).optional(),
      inside: z.string().max(4096).optional(),
    }),
  ),
});

const invariants = z.strictObject({
  tableRows: z.record(z.string(), z.number()),
  sequences: z.record(z.string(), z.number()),
  indexes: strings,
  constraints: strings,
  triggers: strings,
  facts: z.record(z.string(), z.union([z.number(), z.string()])),
  digests: z.record(z.string(), z.string()),
  newestEventTs: z.number().nullable(),
});

const cluster = z.strictObject({
  localeProvider: z.string(),
  locale: z.string().optional(),
  collationVersion: z.string().optional(),
  collationDrift: strings,
  tablespaces: strings,
  roles: z.array(
    z.strictObject({
      name: z.string(),
      // They become SQL.
      attributes: z.array(z.string().regex(/^[A-Z]+( [A-Z]+)?( \d+)?$/)),
      memberOf: z.array(z.strictObject({ role: z.string(), admin: z.boolean() })),
    }),
  ),
  settings: z.array(
    z.strictObject({
      role: z.string().nullable(),
      inDatabase: z.boolean(),
      name: z.string(),
      value: z.string().nullable(),
    }),
  ),
});

/** What becomes an argument of a program must not look like an option, and what becomes a path must not lead anywhere. */
const word = z.string().regex(/^[A-Za-z0-9_][\w.-]*$/);
const segment = z.string().regex(/^[0-9A-F]{24}$/);

const physical = z.strictObject({
  version: z.string(),
  stanza: word,
  repo: z.int().min(1).max(256),
  label: word,
  type: z.enum(['full', 'diff', 'incr']),
  systemId: z.string().regex(/^\d+$/),
  superuser: z.string(),
  startedAt: time,
  finishedAt: time,
  clusterBytes: size,
  storedBytes: size,
  walStart: segment,
  walStop: segment,
  target: z.strictObject({
    lsn: z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/),
    walFile: segment,
    walSegmentBytes: z
      .int()
      .min(1024 * 1024)
      .max(1024 * 1024 * 1024),
    snapshot: z.string().regex(/^\d+:\d+:[\d,]*$/),
  }),
});

const database = z.strictObject({
  engine: z.enum(['postgres', 'pgbackrest']),
  name: z.string(),
  serverVersion: z.string(),
  clientVersion: z.string(),
  encoding: z.string(),
  collate: z.string(),
  ctype: z.string(),
  extensions: strings,
  owner: z.string(),
  snapshotAt: time,
  dumps: z.array(
    z.strictObject({
      name: relativePath.refine((name) => !name.includes('/'), 'expected a name without /'),
      content,
      section: z.enum(['pre-data', 'data', 'post-data']).optional(),
      tables: strings.optional(),
    }),
  ),
  excludedData: strings,
  invariants,
  capture: z
    .strictObject({
      source: z.enum(['primary', 'standby']),
      replayLsn: z.string().optional(),
      replayLagSeconds: z.number().nonnegative().optional(),
      attempts: z.int().positive(),
      setbacks: strings,
    })
    .optional(),
  walPosition: z.string().optional(),
  cluster: cluster.optional(),
  physical: physical.optional(),
});

const otherDatabase = database.extend({ label: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$/) });

const mediaTotals = z.strictObject({
  files: size,
  bytes: size,
  missing: strings,
  missingCount: size,
  orphans: strings,
  orphanCount: size,
  missingUris: strings.optional(),
  orphanUris: strings.optional(),
  comparedAt: time,
});

const external = z.strictObject({ place: z.string().min(1), generation: relativePath });

const media = z.discriminatedUnion('strategy', [
  mediaTotals.extend({ strategy: z.literal('repository') }),
  mediaTotals.extend({ strategy: z.enum(['rsync', 's3-sync']), external }),
]);

const manifestSchema = z.strictObject({
  version: z.literal(1),
  snapshotId: z.string().regex(/^[0-9a-f]{32}$/),
  startedAt: time,
  finishedAt: time,
  hostname: z.string(),
  lifeboatVersion: z.string(),
  homeserver: z.strictObject({ kind: z.string(), version: z.string(), serverName: z.string() }),
  database,
  databases: z
    .array(otherDatabase)
    .refine((list) => new Set(list.map(({ label }) => label)).size === list.length, 'expected unique labels')
    .optional(),
  skewMs: z.number().nonnegative().optional(),
  media,
  keys: z.strictObject({
    archive,
    public: z.array(z.strictObject({ keyId: z.string(), publicKey: z.string() })),
    oldSigningKeys: z.string(),
  }),
  config: z.strictObject({
    archive,
    secrets: z.array(z.strictObject({ name: z.string(), file: z.string() })),
  }),
  warnings: strings,
}) satisfies z.ZodType<Manifest>;

const packNumber = z.int().nonnegative();
/** Number of the pack, offset of the frame in the decrypted pack, its bytes: what a reader asks for, and no more. */
const blobPlace = z.tuple([packNumber, size, size]);
const packKey = z.string().regex(/^packs\/[0-9a-f]{2}\/[0-9a-f]{64}\.age$/);

/** The root object: the manifest, where its dumps' blobs are, and the shards that list the media. */
export const rootSchema = z.strictObject({
  v: z.literal(1),
  manifest: manifestSchema,
  packs: z.array(packKey),
  /** Blob id -> place, with the number of its pack in `packs`. */
  where: z.record(sha256, blobPlace),
  shards: z.array(
    z.strictObject({ object: z.string().regex(/^manifests\/[0-9a-f]{64}\.age$/), files: size, bytes: size }),
  ),
});

export const shardHeaderSchema = z.strictObject({ v: z.literal(1), packs: z.array(packKey) });

export const mediaFileSchema = z.strictObject({
  path: relativePath,
  sizeBytes: size,
  sha256,
  blobs: z.array(sha256),
  mediaClass: z.string(),
  object: z.strictObject({ key: relativePath.optional(), versionId: z.string().optional() }).optional(),
}) satisfies z.ZodType<MediaFile>;

/** A line of a shard: the file, and for each of its blobs its place, with the number of its pack in the header. */
export const shardRowSchema = mediaFileSchema.extend({ in: z.array(blobPlace) });

export type ManifestRoot = z.infer<typeof rootSchema>;

/** What is about to be written, in the form in which it will be read back. Errors: `internal`, naming what and the field. */
export function requireValid<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new LifeboatError(
    'internal',
    `${what} cannot be recorded: ${issue?.path.join('.')}: ${issue?.message}`,
  );
}
