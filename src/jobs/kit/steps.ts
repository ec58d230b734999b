import type { KitFacts } from './facts.ts';

/** What to do in a disaster, in order: docs/disaster.md in short. The page and the README of a kit say the same. */
export function disasterSteps({ identities, locations, keys }: KitFacts): readonly string[] {
  const place = locations[0]?.place ?? 'REPOSITORY';
  return [
    'Keep the old server off. Two servers with one name and one key damage the rooms they write into.',
    'Do not start an empty Synapse under the old name: it makes a new signing key, and nobody will know it.',
    identities.length > 0
      ? 'Bring identity.txt of this kit to the new machine, with mode 600; or type or scan the printed identity into a file.'
      : `Fetch the recovery identity: this kit does not hold it. Wanted is that of ${keys.recipients.map(({ recipient }) => recipient).join(' or ')}.`,
    `With Lifeboat: lifeboat list --repository ${place}, then lifeboat restore latest --repository ${place} --identity identity.txt; its --help and docs/disaster.md say the rest.`,
    `Without Lifeboat: fetch a copy of the repository, and run REPOSITORY=DIRECTORY bash recover.sh identity.txt latest TARGET with the script of this kit; RECOVER.md says the rest.`,
    `If the repository has lost or damaged ${keys.dataKeyObject}: put back the file of that name from this kit. Nothing opens without it.`,
    'Start the restored server with its public ports closed, and open them when a client and another server have reached it.',
  ];
}
