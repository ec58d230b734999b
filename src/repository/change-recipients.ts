import { LifeboatError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import type { RepositoryConfig } from './config-file.ts';
import { putDataKey } from './data-key.ts';
import type { CommitLog } from './log.ts';
import type { RecoveryRecipient } from './port.ts';
import { requireRecipients } from './recipient.ts';
import type { LogEntry, Signer } from './record.ts';
import { openDataKey, recoveryKeys } from './recovery-keys.ts';

export interface ChangeRecipientsContext {
  readonly store: ObjectStore;
  readonly config: RepositoryConfig;
  readonly log: CommitLog;
  readonly identities: readonly Secret[];
  readonly adminSigner: () => Promise<Signer>;
}

/** The list in force -> the new one. Throws when it cannot be changed so. */
type Change = (before: readonly string[]) => string[];

/** Errors: `recipient-invalid`, `admin-key-missing`, `identity-missing`, `identity-wrong`, those of the log. */
export async function addRecipients(
  context: ChangeRecipientsContext,
  added: readonly string[],
): Promise<readonly RecoveryRecipient[]> {
  await requireRecipients(added);
  return changeRecipients(context, (before) => {
    const known = added.find((recipient) => before.includes(recipient));
    if (known !== undefined)
      throw new LifeboatError('recipient-invalid', `${known} is a recovery recipient already`, {
        hint: 'Run `lifeboat keys` to see who can open the repository.',
      });
    return [...before, ...added];
  });
}

/**
 * Whoever is removed cannot open the data key from the repository any more. Who has opened it once may have kept it: age cannot
 * revoke. Errors: as `addRecipients`.
 */
export async function removeRecipients(
  context: ChangeRecipientsContext,
  removed: readonly string[],
): Promise<readonly RecoveryRecipient[]> {
  await requireRecipients(removed);
  return changeRecipients(context, (before) => {
    const unknown = removed.find((recipient) => !before.includes(recipient));
    if (unknown !== undefined)
      throw new LifeboatError('recipient-invalid', `${unknown} is no recovery recipient of this repository`, {
        hint: 'Run `lifeboat keys` to see who is.',
      });
    const left = before.filter((recipient) => !removed.includes(recipient));
    if (left.length > 0) return left;
    throw new LifeboatError('recipient-invalid', 'nobody could open the repository any more', {
      hint: 'Add another recipient first: `lifeboat keys add`.',
    });
  });
}

/**
 * Seals the data key to the new list, and commits that by compare and swap: another change that came first is built upon, not
 * undone. The object comes before its record, so that no record ever names what is not there.
 */
async function changeRecipients(
  { store, config, log, identities, adminSigner }: ChangeRecipientsContext,
  change: Change,
): Promise<readonly RecoveryRecipient[]> {
  const signer = await adminSigner();
  await log.refresh();
  log.requireWritable();
  for (;;) {
    const readUpTo = log.entries.length;
    const keys = recoveryKeys(config, log.entries);
    const recipients = change(keys.recipients.map(({ recipient }) => recipient));
    const dataKey = await openDataKey(store, config, keys, identities);
    const object = await putDataKey(store, dataKey, recipients);
    const overtaken = new Error('another record came first');
    try {
      await log.append({ type: 'recipients', recipients, data_key: object }, signer, () => {
        if (log.entries.slice(readUpTo).some((entry) => disturbs(entry, object))) throw overtaken;
      });
      return recoveryKeys(config, log.entries).recipients;
    } catch (error) {
      if (error !== overtaken) throw error;
    }
  }
}

/** Another change of the recipients, or a prune that takes the new object for garbage, which it was until its record. */
function disturbs({ body }: LogEntry, object: string): boolean {
  return body?.type === 'recipients' || (body?.type === 'mark' && body.objects.includes(object));
}
