import { z } from '../config/zod.ts';
import { LifeboatError } from '../core/errors.ts';
import { CONFIG_KEY } from './object-names.ts';

/** The only repository format so far. */
export const FORMAT = 1;
/** Words of `requires` that this version understands: features that a reader must know. None so far. */
const UNDERSTOOD: ReadonlySet<string> = new Set();

const hex = (digits: number) =>
  z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`), `expected ${digits} lower-case hex digits`);
/** X25519 only: age refuses a file to both X25519 and post-quantum recipients, age-encryption 0.3.1 would silently make one. */
const recipient = z
  .string()
  .regex(/^age1[02-9ac-hj-np-z]{58}$/, 'expected an age X25519 recipient (age1...)');

/** lifeboat.json: written once by `init`, never changed. The log's records carry its SHA-256. */
const schema = z.strictObject({
  format: z.literal(FORMAT),
  /** The version that made the repository, for the message of one that cannot read it. */
  lifeboat_version: z.string(),
  requires: z.array(z.string()),
  repo_id: hex(32),
  created: z.iso.datetime(),
  recipients: z.array(recipient).min(1),
  index_recipients: z.array(recipient).min(2),
  host_pub: hex(64),
  admin_pub: hex(64),
  id_algo: z.literal('hmac-sha256'),
  chunk: z.strictObject({
    stream: z.strictObject({ algo: z.literal('gear-v1') }),
    file: z.strictObject({
      algo: z.literal('fixed'),
      whole_bytes: z.int().positive(),
      piece_bytes: z.int().positive(),
    }),
  }),
  /** The id key, sealed to the recipients. */
  key_object: z.string().regex(/^keys\/[0-9a-f]{64}\.age$/),
  /** SHA-256 of RECOVER.md and recover.sh: the script is run with the recovery identity in its hand. */
  recovery_kit: z.record(z.string(), hex(64)),
  cas: z.enum(['link', 'if-none-match']),
});

export type RepositoryConfig = z.infer<typeof schema>;

export function encodeConfig(config: RepositoryConfig): Uint8Array {
  return Buffer.from(`${JSON.stringify(schema.parse(config), null, 2)}\n`, 'utf8');
}

/** Errors: `repository-version` (format or `requires` unknown to this version), `repository-damaged`. */
export function decodeConfig(bytes: Uint8Array, location: string): RepositoryConfig {
  const value = parseJson(bytes, location);
  refuseOtherVersions(value, location);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw damaged(location, `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'invalid'}`);
}

function parseJson(bytes: Uint8Array, location: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw damaged(location, 'it is not JSON', error);
  }
}

/** Looks only at three fields, so that a later format may change all others. */
function refuseOtherVersions(value: unknown, location: string): void {
  const head = z.looseObject({
    format: z.int(),
    lifeboat_version: z.string().optional(),
    requires: z.array(z.string()).optional(),
  });
  const parsed = head.safeParse(value);
  if (!parsed.success) throw damaged(location, 'it has no format number');
  const { format, lifeboat_version: madeBy, requires = [] } = parsed.data;
  const unknown = requires.filter((word) => !UNDERSTOOD.has(word));
  if (format === FORMAT && unknown.length === 0) return;
  const what = format === FORMAT ? `requires ${unknown.join(', ')}` : `has format ${format}`;
  throw new LifeboatError(
    'repository-version',
    `repository ${location} ${what}; this version reads format ${FORMAT} without additions`,
    {
      hint:
        madeBy === undefined
          ? 'Use a newer lifeboat.'
          : `Use lifeboat ${madeBy}, which made the repository, or a newer one.`,
      context: { format },
    },
  );
}

function damaged(location: string, problem: string, cause?: unknown): LifeboatError {
  return new LifeboatError('repository-damaged', `${CONFIG_KEY} of ${location} is damaged: ${problem}`, {
    cause,
    hint: 'It never changes after `lifeboat init`: put the copy from another place back.',
    context: { object: CONFIG_KEY },
  });
}
