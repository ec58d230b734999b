import { titleOf, type KitFacts } from './facts.ts';
import { disasterSteps } from './steps.ts';

/** README.txt of a kit: for who has nothing but the zip. */
export function renderReadme(facts: KitFacts): string {
  const { made, version, repositoryId, locations, identities, signingKeys, hashes } = facts;
  const secret =
    identities.length > 0
      ? 'THIS KIT IS SECRET. It holds the recovery identity: whoever has it reads every backup. Print kit.html, put paper and zip\nwhere you keep what must neither be lost nor read by others, and delete the zip everywhere else.'
      : 'This kit holds no secret. It opens nothing without the recovery identity, which has to be kept elsewhere.';
  return `Recovery kit of ${titleOf(facts)}
made ${made} by lifeboat ${version}

${secret}

Repository ${repositoryId}
${locations.map(({ name, place }) => `  ${name}: ${place}`).join('\n')}
Credentials for these places are not in this kit.

In a disaster
${disasterSteps(facts)
  .map((text, index) => `  ${index + 1}. ${text}`)
  .join('\n')}

Files
  kit.html            the same to be printed${identities.length > 0 ? ', with the identity as text and QR code' : ''}
${identities.length > 0 ? '  identity.txt        the recovery identity, for --identity and recover.sh\n' : ''}  RECOVER.md          how to restore with age, zstd, jq and tar
  recover.sh          the same as a script; trust this one more than one that lies where strangers could write
  lifeboat.json       the repository's public keys
  keys/               the data key, encrypted to the recovery recipients: opens everything, and is opened by the identity
  signing-keys.txt    ${signingKeys === undefined ? 'not included: made without an identity, or before the first snapshot' : "public signing keys of the homeserver, and old_signing_keys for a new server's homeserver.yaml"}

SHA-256
${Object.entries(hashes)
  .map(([name, sha256]) => `  ${sha256}  ${name}`)
  .join('\n')}
`;
}

/** signing-keys.txt: what a restored server must publish, and what to do if its private key is lost. */
export function renderSigningKeys({
  public: keys,
  oldSigningKeys,
}: NonNullable<KitFacts['signingKeys']>): string {
  const lines = keys.map(({ keyId, publicKey }) => `${keyId} ${publicKey}`).join('\n');
  return `# Public signing keys: the restored server must publish these.\n${lines}\n\n# If the private key is lost, homeserver.yaml of a new server needs:\n${oldSigningKeys.trimEnd()}\n`;
}
