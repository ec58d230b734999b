import { EXIT } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import type { DatabaseComponent, Manifest } from '../../repository/manifest.ts';
import type { SnapshotEntry } from '../../repository/port.ts';
import { defineCommand } from '../definition.ts';
import { formatTime, table } from '../terminal.ts';
import { snapshotFields } from './list.ts';
import { OPENING_WITH_KEY } from './shared-exits.ts';

export const showCommand = defineCommand({
  name: 'show',
  summary: 'show what a snapshot holds',
  description:
    'Shows one snapshot. With an identity the manifest is opened too: database, media, public signing keys, configuration files and ' +
    'what was measured when it was taken. Values of secrets are never shown.',
  arguments: [{ name: 'SNAPSHOT', description: 'id, its first digits, `latest` or `latest-proven`' }],
  options: [],
  examples: [
    { command: 'lifeboat show latest', meaning: 'What the host may know of the newest snapshot.' },
    { command: 'lifeboat show latest --identity /media/usb/identity', meaning: 'All of it.' },
  ],
  exits: OPENING_WITH_KEY,
  run: async (input, { repository, output }) => {
    const opened = await repository();
    const entry = await opened.resolve(input.arguments[0]!);
    const manifest = opened.canRead ? await opened.manifest(entry.id) : undefined;
    output.message('summary', { command: 'show', ...snapshotFields(entry), manifest: manifest ?? null });
    output.print(describeEntry(entry));
    if (manifest === undefined)
      output.note('name the recovery identity with --identity to see what is inside');
    else output.print(`${describeManifest(manifest)}\n\n${oldSigningKeys(manifest)}`);
    return EXIT.ok;
  },
});

function describeEntry(entry: SnapshotEntry): string {
  const { drill } = entry;
  return table([
    ['snapshot', entry.id],
    ['taken', formatTime(entry.time)],
    ['server', entry.serverName],
    ['host', entry.hostname],
    [
      'holds',
      `${entry.files} files, ${formatBytes(entry.bytes)}; new with it: ${formatBytes(entry.newBytes)}`,
    ],
    ['drill', drill === undefined ? 'never drilled' : `${drill.result} on ${formatTime(drill.time)}`],
    ['pinned', entry.pinned ? 'yes' : 'no'],
    ...(entry.tags.length === 0 ? [] : [['tags', entry.tags.join(', ')]]),
  ]);
}

/** For who has lost the key (docs/disaster.md, "Only the signing key is lost"). */
function oldSigningKeys({ keys }: Manifest): string {
  return `If the signing keys are lost, homeserver.yaml of a new one needs:\n${keys.oldSigningKeys.trimEnd()}`;
}

/** All that the manifest lists: for who has to find them elsewhere. */
function named(what: string, uris: readonly string[]): [string, string][] {
  return uris.map((uri) => ['', `${what}: ${uri}`]);
}

/** Beside the dump: docs/decisions/0010. */
function clusterLines({ owner, extensions, cluster }: DatabaseComponent): string[][] {
  if (cluster === undefined) return [];
  const { localeProvider, collationVersion, tablespaces, roles, settings } = cluster;
  const version = collationVersion === undefined ? '' : `, collation of version ${collationVersion}`;
  const names = roles.map(({ name, attributes }) => `${name} (${attributes.join(', ')})`);
  return [
    [
      '',
      `owner ${owner}; extensions ${extensions.join(', ') || 'none'}; locale by ${localeProvider}${version}`,
    ],
    ['', `roles ${names.join(', ') || 'none'}; ${settings.length} settings of roles and database`],
    ...(tablespaces.length === 0 ? [] : [['', `tablespaces ${tablespaces.join(', ')}`]]),
  ];
}

function sizeOf({ dumps }: DatabaseComponent): number {
  return dumps.reduce((sum, { content }) => sum + content.sizeBytes, 0);
}

function databaseRows(database: DatabaseComponent): string[][] {
  const { name, serverVersion, clientVersion, physical } = database;
  const what = `${name}, PostgreSQL ${serverVersion}`;
  if (physical === undefined) {
    return [['database', `${what}, dumped with ${clientVersion}: ${formatBytes(sizeOf(database))}`]];
  }
  const { stanza, repo, label, type, target, clusterBytes } = physical;
  return [
    [
      'database',
      `${what}, kept by pgBackRest ${clientVersion}: ${formatBytes(clusterBytes)} of the whole cluster`,
    ],
    ['', `stanza ${stanza}, repository ${repo}, backup ${label} (${type})`],
    ['', `recovered to ${target.lsn} in WAL segment ${target.walFile}`],
  ];
}

function describeManifest({
  homeserver,
  database,
  databases = [],
  skewMs,
  media,
  keys,
  config,
  warnings,
  lifeboatVersion,
}: Manifest): string {
  const files = (list: readonly { readonly source: string; readonly role: string }[]) =>
    list.map(({ source, role }) => ['', `${source} (${role})`]);
  const { invariants } = database;
  return table([
    ['homeserver', `${homeserver.kind} ${homeserver.version}, saved by lifeboat ${lifeboatVersion}`],
    ...databaseRows(database),
    ['', `${database.encoding}, collation ${database.collate}, at ${database.snapshotAt}`],
    ...clusterLines(database),
    ...Object.entries(invariants.facts).map(([name, value]) => ['', `${name}: ${value}`]),
    [
      'newest event',
      invariants.newestEventTs === null ? 'none' : formatTime(new Date(invariants.newestEventTs)),
    ],
    ...databases.flatMap((other) => [
      [
        `database ${other.label}`,
        `${other.name}, PostgreSQL ${other.serverVersion}, ${formatBytes(sizeOf(other))}, ${other.encoding}, collation ${other.collate}, at ${other.snapshotAt}`,
      ],
      ...clusterLines(other),
    ]),
    ...(skewMs === undefined ? [] : [['', `no two of these databases are further apart than ${skewMs} ms`]]),
    ['media', `${media.files} files, ${formatBytes(media.bytes)}`],
    ...(media.strategy === 'repository'
      ? []
      : [['', `in clear at ${media.external.place}/${media.external.generation} (${media.strategy})`]]),
    ['', `${media.missingCount} rows without file, ${media.orphanCount} files without row`],
    ...named('without file', media.missingUris ?? media.missing),
    ...named('without row', media.orphanUris ?? media.orphans),
    ['signing keys', keys.public.length === 0 ? 'none' : ''],
    ...keys.public.map(({ keyId, publicKey }) => ['', `${keyId} ${publicKey}`]),
    ...files(keys.archive.files),
    ['configuration', `${config.archive.files.length} files`],
    ...files(config.archive.files),
    ['secrets', `${config.secrets.length} in the configuration`],
    ...config.secrets.map(({ name, file }) => ['', `${name} in ${file}`]),
    ...warnings.map((warning, index) => [index === 0 ? 'warnings' : '', warning]),
  ]);
}
