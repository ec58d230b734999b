import { z } from '../config/zod.ts';
import { LifeboatError, messageOf } from '../core/errors.ts';
import { newHeader } from './seal.ts';

/** X25519: `age1` and 58 characters of bech32 (C2SP age specification). Whether the checksum is right, `requireRecipients` asks. */
export const recipientSchema = z
  .string()
  .regex(/^age1[02-9ac-hj-np-z]{58}$/, 'expected an age X25519 recipient (age1...)');

/** Recovery recipients: one at least, none twice. */
export const recipientsSchema = z
  .array(recipientSchema)
  .min(1)
  .refine((list) => new Set(list).size === list.length, 'a recipient is listed twice');

/** The object that an age identity is sealed in. */
export const keyObjectSchema = z.string().regex(/^keys\/[0-9a-f]{64}\.age$/, 'expected keys/<sha256>.age');

const POST_QUANTUM = /^age1(?:pq|tagpq)1/;

/**
 * What people give as recovery recipients, before anything is sealed to them. Texts that are not public keys are not repeated:
 * they may be secret. Errors: `recipient-invalid`.
 */
export async function requireRecipients(recipients: readonly string[]): Promise<void> {
  for (const [at, recipient] of recipients.entries()) {
    const which = recipients.length === 1 ? 'the recipient' : `recipient ${at + 1}`;
    if (/SECRET-KEY/i.test(recipient)) throw secretGiven(which);
    if (POST_QUANTUM.test(recipient)) throw postQuantum(recipient);
    if (!recipientSchema.safeParse(recipient).success || recipients.indexOf(recipient) !== at)
      throw unfit(which, recipient, recipients.indexOf(recipient) !== at);
    await newHeader([recipient]).catch((error: unknown) => {
      throw new LifeboatError('recipient-invalid', `${recipient} is misspelt: ${messageOf(error)}`, {
        cause: error,
        hint: 'Copy it once more from the line `# public key:` of its identity file.',
      });
    });
  }
}

function unfit(which: string, recipient: string, twice: boolean): LifeboatError {
  // Beginning like a public key, it is one, or was meant to be.
  const shown = recipient.startsWith('age1') ? recipient : which;
  const problem = twice ? 'is given twice' : 'is not an age X25519 recipient';
  return new LifeboatError('recipient-invalid', `${shown} ${problem}`, {
    hint: 'A recipient is the public key of an identity, `age1` and 58 letters and digits: `age-keygen -y FILE` shows it.',
  });
}

function secretGiven(which: string): LifeboatError {
  return new LifeboatError('recipient-invalid', `${which} is a secret key, and is not repeated here`, {
    hint: [
      'Give its public half: `age-keygen -y FILE` shows it.',
      'A command line is seen by other users and kept in the history of the shell: make a new identity.',
    ],
  });
}

/** The contents are sealed to an X25519 key: another kind in front of it would promise what the packs do not hold. */
function postQuantum(recipient: string): LifeboatError {
  return new LifeboatError(
    'recipient-invalid',
    `${recipient} is a post-quantum recipient, but the contents of a repository are sealed by X25519`,
    { hint: 'Use an X25519 recipient, as `age-keygen` makes it; age itself refuses to mix both kinds, too.' },
  );
}
