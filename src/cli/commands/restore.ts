import { resolve } from 'node:path';
import { EXIT, LifeboatError } from '../../core/errors.ts';
import type { PostgresTarget } from '../../database/port.ts';
import { homeserverProgram } from '../../jobs/program.ts';
import { requireDumps } from '../../jobs/physical-by-hand.ts';
import { restorePart, PARTS, type Part } from '../../jobs/restore-part.ts';
import { restore, type RestoreOutcome } from '../../jobs/restore.ts';
import { snapshotSource } from '../../restore/snapshot-source.ts';
import type { RestoreSource } from '../../restore/source.ts';
import { renderCheck } from '../../verify/report/terminal.ts';
import type { CommandContext } from '../context.ts';
import { databaseTarget } from '../database-url.ts';
import { defineCommand } from '../definition.ts';
import { MEDIA_PLACE, mediaAccessOf, type MediaPlaceFlag } from '../media-place.ts';
import { oneOf } from '../option-values.ts';
import { table } from '../terminal.ts';
import { OPENING_WITH_KEY } from './shared-exits.ts';

interface RestoreFlags extends MediaPlaceFlag {
  readonly target?: string;
  readonly database?: string;
  readonly databasePasswordFile?: string;
  readonly also?: readonly string[];
  readonly confirm?: string;
  readonly only?: Part;
  readonly program?: string;
  readonly allowCode?: true;
  readonly dryRun?: true;
}

export const restoreCommand = defineCommand<RestoreFlags>({
  name: 'restore',
  summary: 'restore a snapshot for real',
  description:
    'Restores a snapshot into a new directory and an empty database, with the same steps and checks as a drill. Starts nothing: the ' +
    'command to start is printed in the end. A restore that was interrupted goes on when it is given again. Read docs/disaster.md first.',
  arguments: [{ name: 'SNAPSHOT', description: 'id, its first digits, `latest` or `latest-proven`' }],
  options: [
    { flags: '--target <DIR>', description: 'new or empty directory for media, keys and configuration' },
    {
      flags: '--database <URL>',
      description: 'postgresql://USER@HOST:PORT/DATABASE, empty, without a password (PG*, PGPASSWORD)',
    },
    { flags: '--database-password-file <FILE>', description: 'its first line is the password (PGPASSWORD)' },
    {
      flags: '--also <NAME=URL>',
      description:
        'empty database for another one of the snapshot (database.also), with the same password; may be repeated',
      repeatable: true,
    },
    { flags: '--confirm <SERVER_NAME>', description: 'the name of the server, as a sign that you mean it' },
    {
      flags: '--only <PART>',
      description: `only write the files of one part and check them: ${PARTS.join(', ')} (as a dump)`,
      parse: oneOf(PARTS),
    },
    {
      flags: '--program <PYTHON>',
      description: 'interpreter of the Synapse that will run, where it is not found by itself',
    },
    {
      flags: '--allow-code',
      description:
        'load functions, triggers and extensions that Synapse does not have, if you have made them',
    },
    MEDIA_PLACE,
    { flags: '-n, --dry-run', description: 'show what would be restored and where, and change nothing' },
  ],
  examples: [
    {
      command:
        'lifeboat restore latest-proven --target /srv/synapse --database postgresql://synapse@localhost/synapse --confirm example.org',
      meaning: 'The whole server, from the newest snapshot that a drill has proven.',
    },
    { command: 'lifeboat restore latest --only keys --target ./keys', meaning: 'Only the lost signing key.' },
  ],
  exits: {
    ...OPENING_WITH_KEY,
    failed: 'a step or check failed; what is wrong is named',
    drillImpossible: 'there is no homeserver program on this machine',
    preflightRefused:
      'the target is not empty, is in use, or the restore was not confirmed; nothing was changed',
  },
  run: async (input, context) => {
    const { options } = input;
    const { output, clock, signal, env } = context;
    const { target } = options;
    if (target === undefined)
      throw new LifeboatError('usage', 'restore needs --target DIR', { hint: 'Name a new directory.' });
    const repository = await context.repository();
    const { id } = await repository.resolve(input.arguments[0]!);
    const access = await mediaAccessOf(options, context);
    const source = await snapshotSource(repository, id, { ...access, keepOwners: true });
    if (options.only === undefined || options.only === 'database') requireDumps(source);
    if (options.only !== undefined)
      return await restoreOnly(options.only, target, source, context, options.dryRun === true);
    const database = await databaseTarget(options.database, options.databasePasswordFile, env);
    const others = await otherTargets(options, env);
    if (options.dryRun === true) return showPlan(source, target, database, context);
    await requireConfirmation(source.serverName, options.confirm, context);
    const config = await context.configIfAny();
    const outcome = await restore({
      source,
      directory: target,
      database,
      others,
      program: await homeserverProgram(options.program, config),
      clientDirectory: config?.database.clientDirectory,
      allowCode: options.allowCode,
      clock,
      progress: output.progress,
      signal,
      onCheck: (step, check) => {
        output.message('check', { step, ...check });
        output.printStyled(renderCheck(check, { color: output.color }).join('\n'));
      },
    });
    return showOutcome(outcome, source, context);
  },
});

/** `mas=postgresql://mas@localhost/mas`. Errors: `usage`. */
async function otherTargets(
  { also = [], databasePasswordFile }: RestoreFlags,
  env: NodeJS.ProcessEnv,
): Promise<Map<string, PostgresTarget>> {
  const others = new Map<string, PostgresTarget>();
  for (const given of also) {
    const [, label, url] = /^([^=]+)=(.+)$/.exec(given) ?? [];
    if (label === undefined || url === undefined)
      throw new LifeboatError('usage', `--also ${given} is not NAME=URL`, {
        hint: 'Write --also mas=postgresql://USER@HOST:PORT/DATABASE; `lifeboat show` lists the names.',
      });
    others.set(label, await databaseTarget(url, databasePasswordFile, env));
  }
  return others;
}

async function restoreOnly(
  part: Part,
  directory: string,
  source: RestoreSource,
  { output, signal, configIfAny }: CommandContext,
  dryRun: boolean,
): Promise<number> {
  const about = { command: 'restore', snapshot: source.id, only: part, dry_run: dryRun };
  if (dryRun) {
    output.message('summary', { ...about, written: [] });
    output.print(`would write ${part} of ${source.serverName} to ${resolve(directory)}`);
    return EXIT.ok;
  }
  const { written, ok } = await restorePart({
    source,
    part,
    directory,
    clientDirectory: (await configIfAny())?.database.clientDirectory,
    progress: output.progress,
    signal,
    onCheck: (check) => {
      output.message('check', { ...check });
      output.printStyled(renderCheck(check, { color: output.color }).join('\n'));
    },
  });
  output.message('summary', { ...about, ok, written });
  output.print(written.join('\n'));
  return ok ? EXIT.ok : EXIT.failed;
}

function showPlan(
  source: RestoreSource,
  target: string,
  database: PostgresTarget,
  { output }: CommandContext,
): number {
  const place = `${database.host}:${database.port}/${database.database} as ${database.user}`;
  output.message('summary', {
    command: 'restore',
    dry_run: true,
    snapshot: source.id,
    server_name: source.serverName,
    target: resolve(target),
    database: place,
  });
  output.print(
    table([
      ['snapshot', `${source.id} of ${source.takenAt?.toISOString() ?? 'unknown time'}`],
      ['server', source.serverName],
      ['homeserver', source.homeserverVersion ?? 'unknown'],
      ['database', `${place}, must be empty`],
      ...(source.databases ?? []).map(({ label }) => [`database ${label}`, 'with --also, or not at all']),
      ['directory', `${resolve(target)}, must be empty`],
      ['keys', source.publicKeys?.map(({ keyId }) => keyId).join(', ') ?? 'unknown'],
    ]),
  );
  return EXIT.ok;
}

/** Two servers under one name harm each other: whoever restores says the name. */
async function requireConfirmation(
  serverName: string,
  given: string | undefined,
  { ask }: CommandContext,
): Promise<void> {
  const said =
    given ??
    (await ask(`This restores ${serverName}. No other server of this name may run. Type its name to go on:`));
  if (said === serverName) return;
  const problem =
    said === undefined
      ? `the restore of ${serverName} was not confirmed`
      : `the snapshot is of ${serverName}, not of ${said}`;
  throw new LifeboatError('not-confirmed', problem, {
    hint: `Make sure that no other server of this name runs, then repeat with --confirm ${serverName}.`,
  });
}

function showOutcome(
  { result, steps, configFiles, startCommand, mediaDirectory, rolesFile }: RestoreOutcome,
  source: RestoreSource,
  { output }: CommandContext,
): number {
  const ok = result === 'PASS';
  output.message('summary', {
    command: 'restore',
    ok,
    snapshot: source.id,
    server_name: source.serverName,
    steps: steps.map((step) => ({ id: step.id, result: step.result, error: step.error ?? null })),
    config_files: configFiles,
    start_command: startCommand,
    media_directory: mediaDirectory,
    roles_file: rolesFile ?? null,
  });
  for (const { number, title, error } of steps) {
    if (error === undefined) continue;
    output.print(`step ${number}, ${title}: ${error.message}`);
    for (const hint of error.hints) output.print(`hint: ${hint}`);
  }
  output.print(
    ok
      ? `restored ${source.serverName}; nothing was started`
      : `${source.serverName} is NOT restored; correct what is named above and give the same command again`,
  );
  if (rolesFile !== undefined)
    output.print(
      `Further roles, privileges and settings of the old databases, to read and to run: ${rolesFile}`,
    );
  if (ok) {
    output.print(
      `Before the first start give the files to the user of the homeserver; then start it with:\n  ${startCommand.join(' ')}`,
    );
  }
  return ok ? EXIT.ok : EXIT.failed;
}
