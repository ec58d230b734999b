import { isLifeboatError, LifeboatError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import type { RepositoryConfig } from './config-file.ts';
import { readDataKey, type DataKey } from './data-key.ts';
import type { RecoveryRecipient } from './port.ts';
import type { LogEntry } from './record.ts';
import { recipientOf } from './seal.ts';

/** Who can open the repository. */
export interface RecoveryKeys {
  /** In the order of the list in force. */
  readonly recipients: readonly RecoveryRecipient[];
  /** The data key, sealed to them. */
  readonly dataKeyObject: string;
  /** Recipients that were in force once: recipient -> record that left them out. */
  readonly removed: ReadonlyMap<string, number>;
}

/** lifeboat.json says who could at first; the newest `recipients` record says it since. Pure. */
export function recoveryKeys(config: RepositoryConfig, entries: readonly LogEntry[]): RecoveryKeys {
  let since = new Map(config.recipients.map((recipient) => [recipient, 1]));
  let dataKeyObject = config.data_key_object;
  const removed = new Map<string, number>();
  for (const { body } of entries) {
    if (body?.type !== 'recipients') continue;
    for (const recipient of since.keys())
      if (!body.recipients.includes(recipient)) removed.set(recipient, body.seq);
    since = new Map(body.recipients.map((recipient) => [recipient, since.get(recipient) ?? body.seq]));
    for (const recipient of body.recipients) removed.delete(recipient);
    dataKeyObject = body.data_key;
  }
  const recipients = [...since].map(([recipient, seq]) => ({ recipient, since: seq }));
  return { recipients, dataKeyObject, removed };
}

/** Errors: `identity-missing`, `identity-wrong` (naming whose are wanted), `repository-damaged`. */
export async function openDataKey(
  store: ObjectStore,
  config: RepositoryConfig,
  keys: RecoveryKeys,
  identities: readonly Secret[],
): Promise<DataKey> {
  try {
    return await readDataKey(store, keys.dataKeyObject, config.data_recipient, identities);
  } catch (error) {
    throw isLifeboatError(error, 'identity-wrong') ? await wrongIdentity(keys, identities, error) : error;
  }
}

/** Names whose they are, and whose are wanted: people have several files. */
async function wrongIdentity(
  { recipients, removed }: RecoveryKeys,
  identities: readonly Secret[],
  cause: LifeboatError,
): Promise<LifeboatError> {
  const given = await Promise.all(identities.map((identity) => recipientOf(identity.reveal())));
  const described = given.map((recipient) => {
    const record = removed.get(recipient);
    return record === undefined ? recipient : `${recipient} (removed by record ${record})`;
  });
  const wanted = recipients.map(({ recipient }) => recipient);
  return new LifeboatError(
    'identity-wrong',
    `none of the given identities opens this repository: given is that of ${described.join(', ')}, needed that of ${wanted.join(' or ')}`,
    {
      hint: 'The file of an identity says whose it is in its line `# public key:`. Name the right one with --identity FILE.',
      cause,
    },
  );
}
