import type { Secret } from '../../core/secret.ts';
import type { KeyListing } from '../../repository/port.ts';
import type { KeysComponent } from '../../repository/manifest.ts';

/** What a recovery kit says. */
export interface KitFacts {
  /** ISO 8601. */
  readonly made: string;
  readonly version: string;
  /** Undefined before the first snapshot. */
  readonly serverName: string | undefined;
  readonly repositoryId: string;
  /** Where the repository and its copies lie; no credentials. */
  readonly locations: readonly KitLocation[];
  readonly keys: KeyListing;
  /** The identities that open the repository, when the kit is to hold them. */
  readonly identities: readonly KitIdentity[];
  /** Of the newest snapshot; undefined when there is none, or no identity was there to read it. */
  readonly signingKeys: Pick<KeysComponent, 'public' | 'oldSigningKeys'> | undefined;
  /** Name -> SHA-256, of the files that restoring by hand needs. */
  readonly hashes: Readonly<Record<string, string>>;
}

export interface KitLocation {
  /** `repository`, or the name of a copy. */
  readonly name: string;
  readonly place: string;
}

export interface KitIdentity {
  readonly identity: Secret;
  readonly recipient: string;
}

/** What people call it by. */
export function titleOf({ serverName, repositoryId }: KitFacts): string {
  return serverName ?? `repository ${repositoryId}`;
}
