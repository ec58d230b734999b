import { EXIT, LifeboatError, messageOf } from '../../core/errors.ts';
import { join, resolve } from 'node:path';
import type { Config } from '../../config/index.ts';
import { formatDuration } from '../../core/units.ts';
import { drill } from '../../jobs/drill.ts';
import { drillEvidence } from '../../jobs/drill-evidence.ts';
import { homeserverProgram } from '../../jobs/program.ts';
import type { Repository } from '../../repository/port.ts';
import { filesSource } from '../../restore/files-source.ts';
import { snapshotSource } from '../../restore/snapshot-source.ts';
import type { RestoreSource } from '../../restore/source.ts';
import {
  collectLogs,
  renderCheck,
  renderTerminal,
  REPORT_FORMATS,
  writeReport,
  writeReports,
  type DrillReport,
  type TextFile,
} from '../../verify/report/index.ts';
import type { CommandContext } from '../context.ts';
import { defineCommand } from '../definition.ts';
import { MEDIA_PLACE, mediaAccessOf, type MediaPlaceFlag } from '../media-place.ts';
import { EXIT_MEANING } from '../exit.ts';
import { duration } from '../option-values.ts';
import { OPENING_WITH_KEY } from './shared-exits.ts';

interface DrillFlags extends MediaPlaceFlag {
  readonly dump?: string;
  readonly media?: string;
  readonly signingKey?: string;
  readonly config?: readonly string[];
  readonly program?: string;
  readonly peer?: true;
  readonly postgresDirectory?: string;
  readonly keep?: true;
  readonly reportDir?: string;
  readonly junit?: string;
  readonly rtoTarget?: number;
  readonly rpoTarget?: number;
}

/** A snapshot of a repository, or the files that people have without one. */
interface Subject {
  readonly source: RestoreSource;
  readonly repository: Repository | undefined;
  readonly config: Config | undefined;
}

export const drillCommand = defineCommand<DrillFlags>({
  name: 'drill',
  job: { name: 'drill', exclusive: false },
  summary: 'restore into a sealed environment and prove that the server federates',
  description:
    'Brings a snapshot to life where it can harm nobody: restores database, media, keys and configuration, starts the homeserver and ' +
    'meets it as another server would. Names everything that is wrong. Without a repository it drills a dump, a media folder, a key ' +
    'and a configuration as you have them today.',
  arguments: [
    { name: '[SNAPSHOT]', description: 'id, its first digits, `latest` (default) or `latest-proven`' },
  ],
  options: [
    {
      flags: '--dump <FILE>',
      description: 'drill this dump of pg_dump instead (custom or plain, also gzip or zstd)',
    },
    { flags: '--media <DIR>', description: 'with --dump: copy of the media store' },
    { flags: '--signing-key <FILE>', description: 'with --dump: copy of the signing key' },
    {
      flags: '--config <FILE>',
      description: 'with --dump: homeserver.yaml, may be repeated; otherwise lifeboat.yaml',
      repeatable: true,
    },
    {
      flags: '--program <PYTHON>',
      description: 'interpreter of the Synapse to start, where it is not found by itself',
    },
    {
      flags: '--postgres-directory <DIR>',
      description:
        'programs of the PostgreSQL to drill on, such as /usr/lib/postgresql/17/bin (drill.postgres_directory)',
    },
    { flags: '--peer', description: 'also federate with a second real homeserver inside' },
    {
      flags: '--report-dir <DIR>',
      description:
        'where HTML, JSON, Markdown and JUnit reports go, and a zip of all with logs (default: reports in the state directory, else ./lifeboat-reports)',
    },
    { flags: '--junit <FILE>', description: 'write the JUnit report to this file' },
    { flags: '--rto-target <DURATION>', description: 'exit 22 when restoring took longer', parse: duration },
    {
      flags: '--rpo-target <DURATION>',
      description: 'exit 22 when the newest event was older at the snapshot',
      parse: duration,
    },
    MEDIA_PLACE,
    { flags: '--keep', description: 'leave the directory of the drill, to look at logs' },
  ],
  examples: [
    { command: 'lifeboat drill', meaning: 'Is the newest snapshot good?' },
    {
      command: 'lifeboat drill --postgres-directory /usr/lib/postgresql/17/bin',
      meaning: 'Would my data start on PostgreSQL 17?',
    },
    {
      command: 'lifeboat drill latest --report-dir /var/lib/lifeboat/reports --rto-target 4h',
      meaning: 'Every night, with evidence.',
    },
    {
      command:
        'lifeboat drill --dump synapse.sql.gz --media /backup/media_store --signing-key example.org.signing.key --config homeserver.yaml',
      meaning: 'What would today’s backup be worth? Needs no repository.',
    },
  ],
  exits: {
    ...OPENING_WITH_KEY,
    drillFailed: EXIT_MEANING.drillFailed,
    drillImpossible: EXIT_MEANING.drillImpossible,
    targetMissed: EXIT_MEANING.targetMissed,
    preflightRefused: EXIT_MEANING.preflightRefused,
  },
  globals: ({ dump, config }) =>
    dump === undefined && Array.isArray(config) ? { config: String(config.at(-1)) } : {},
  run: async (input, context) => {
    const { options } = input;
    const { output, clock, signal } = context;
    const { source, repository, config } = await subjectOf(input.arguments[0], options, context);
    const seen: { logs: TextFile[] } = { logs: [] };
    const reportDir =
      options.reportDir ??
      (config === undefined ? 'lifeboat-reports' : join(config.repository.stateDirectory, 'reports'));
    const report = await drill({
      source,
      program: await homeserverProgram(
        options.program,
        config,
        (options.config ?? []).map((path) => resolve(path)),
      ),
      settings: settingsOf(config, options),
      clientDirectory: config?.database.clientDirectory,
      pgbackrest: config?.database.pgbackrest,
      keep: options.keep === true,
      clock,
      progress: output.progress,
      signal,
      onCheck: (step, check) => {
        output.message('check', { step, ...check });
        output.note(renderCheck(check, { color: false }).join('\n'));
      },
      onRunning: async ({ directory }) => {
        seen.logs = await collectLogs(join(directory, 'logs'));
        if (options.keep === true) output.note(`the directory of the drill stays: ${directory}`);
      },
    });
    await recordEvidence(repository, report, output);
    const missed = missedTargets(report, options);
    const exitStatus =
      report.exitStatus === EXIT.ok && missed.length > 0 ? EXIT.targetMissed : report.exitStatus;
    // First what is known: a report that cannot be written must not hide it.
    output.printStyled(renderTerminal(report, { color: output.color, verbose: output.verbose }));
    for (const text of missed) output.print(`MISSED  ${text}`);
    const files = await writeFiles(report, { ...options, reportDir }, seen.logs).catch((error: unknown) => {
      // What the drill has found out is told above, and by the exit status.
      output.warn(`the reports could not be written: ${messageOf(error)}`);
      return {};
    });
    for (const [format, path] of Object.entries(files)) output.print(`report  ${format.padEnd(5)}  ${path}`);
    output.message('summary', {
      command: 'drill',
      ...summaryOf(report),
      exit_status: exitStatus,
      targets_missed: missed,
      report_files: files,
    });
    return exitStatus;
  },
});

/** As the schema of lifeboat.yaml has them. */
const WITHOUT_CONFIG: Config['drill'] = {
  peer: false,
  timeoutMs: 30 * 60_000,
  workDirectory: '/var/tmp',
  postgresDirectory: undefined,
};

function settingsOf(config: Config | undefined, { peer, postgresDirectory }: DrillFlags): Config['drill'] {
  return {
    ...(config?.drill ?? WITHOUT_CONFIG),
    ...(peer === true ? { peer } : {}),
    ...(postgresDirectory === undefined ? {} : { postgresDirectory: resolve(postgresDirectory) }),
  };
}

async function subjectOf(
  snapshot: string | undefined,
  options: DrillFlags,
  context: CommandContext,
): Promise<Subject> {
  const { dump, media, signingKey, config } = options;
  if (dump === undefined) {
    if (media !== undefined || signingKey !== undefined)
      throw new LifeboatError('usage', '--media and --signing-key need --dump');
    const repository = await context.repository();
    const { id } = await repository.resolve(snapshot ?? 'latest');
    const access = await mediaAccessOf(options, context);
    return {
      source: await snapshotSource(repository, id, access),
      repository,
      config: await context.configIfAny(),
    };
  }
  if (snapshot !== undefined) throw new LifeboatError('usage', 'give either a snapshot or --dump');
  if (media === undefined || signingKey === undefined || config === undefined) {
    throw new LifeboatError('usage', '--dump needs --media, --signing-key and --config as well', {
      hint: 'A backup without one of these cannot bring a homeserver back. See `lifeboat drill --help`.',
    });
  }
  return {
    source: await filesSource({ dump, media, signingKey, config }),
    repository: undefined,
    config: await context.configIfAny(),
  };
}

/** A drill that cannot be written down has still been run: its result is told. */
async function recordEvidence(
  repository: Repository | undefined,
  report: DrillReport,
  output: CommandContext['output'],
): Promise<void> {
  const evidence = drillEvidence(report);
  if (repository === undefined || evidence === undefined) return;
  await repository.recordEvidence(evidence).catch((error: unknown) => {
    output.warn(`the result could not be recorded in the repository: ${messageOf(error)}`);
  });
}

function missedTargets({ result, rtoMs, rpo }: DrillReport, { rtoTarget, rpoTarget }: DrillFlags): string[] {
  if (result !== 'PASS') return [];
  const missed: string[] = [];
  if (rtoTarget !== undefined && rtoMs > rtoTarget)
    missed.push(`RTO target ${formatDuration(rtoTarget)}: it took ${formatDuration(rtoMs)}`);
  // What is not known cannot be promised.
  if (rpoTarget !== undefined && (rpo.atSnapshotMs === null || rpo.atSnapshotMs > rpoTarget)) {
    missed.push(
      `RPO target ${formatDuration(rpoTarget)}: it was ${rpo.atSnapshotMs === null ? 'not known' : formatDuration(rpo.atSnapshotMs)}`,
    );
  }
  return missed;
}

async function writeFiles(
  report: DrillReport,
  { reportDir, junit }: { readonly reportDir: string; readonly junit?: string | undefined },
  logs: readonly TextFile[],
): Promise<Record<string, string>> {
  const files = await writeReports(report, resolve(reportDir), REPORT_FORMATS, { logs });
  if (junit === undefined) return files;
  await writeReport(report, 'junit', junit);
  return { ...files, junit };
}

function summaryOf(report: DrillReport): Record<string, unknown> {
  const { id, result, snapshot, rtoMs, rpo, sizes, steps } = report;
  return {
    drill: id,
    result,
    snapshot: snapshot.id,
    server_name: snapshot.serverName,
    rto_ms: rtoMs,
    rpo_ms: rpo.atSnapshotMs,
    sizes,
    steps: steps.map((step) => ({
      id: step.id,
      result: step.result,
      apply_ms: step.applyMs,
      check_ms: step.checkMs,
    })),
  };
}
