import { z } from '../config/zod.ts';
import { LifeboatError } from '../core/errors.ts';
import { CONFIG_KEY } from './object-names.ts';
import { keyObjectSchema, recipientSchema, recipientsSchema } from './recipient.ts';

/** The only repository format so far. */
export const FORMAT = 1;
/** Words of `requires` that this version understands: features that a reader must know. None so far. */
const UNDERSTOOD: ReadonlySet<string> = new Set();

const hex = (digits: number) =>
  z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`), `expected ${digits} lower-case hex digits`);

/** lifeboat.json: written once by `init`, never changed. The log's records carry its SHA-256. */
const schema = z.strictObject({
  format: z.literal(FORMAT),
  /** The version that made the repository, for the message of one that cannot read it. */
  lifeboat_version: z.string(),
  requires: z.array(z.string()),
  repo_id: hex(32),
  created: z.iso.datetime(),
  /** Recovery recipients as `init` set them; a `recipients` record replaces them. */
  recipients: recipientsSchema,
  /** Packs, archives, manifests and the id key are sealed to this one alone. */
  data_recipient: recipientSchema,
  /** The host's: index segments are sealed to it and to the data recipient. */
  index_recipient: recipientSchema,
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
  /** The data key, sealed to `recipients`. */
  data_key_object: keyObjectSchema,
  /** The id key, sealed to `data_recipient`. */
  id_key_object: keyObjectSchema,
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
