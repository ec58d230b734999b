import { z } from './zod.ts';
import { parseDuration } from '../core/units.ts';

/** What surrounds a job: the admin's own programs, and how much it gives way to others. */
const DEFAULT_TIMEOUT = '5m';
const SHELL = '/bin/sh';

/** Jobs that can have hooks. */
const HOOKED_JOBS = ['backup', 'check', 'copy', 'drill', 'prune', 'verify'] as const;
export type HookedJob = (typeof HOOKED_JOBS)[number];

/** One program of the admin's. */
export interface Hook {
  /** How messages name it: its command line, as written in lifeboat.yaml. */
  readonly label: string;
  readonly argv: readonly string[];
  readonly timeoutMs: number;
}

export interface JobHooks {
  readonly before: readonly Hook[];
  readonly after: readonly Hook[];
  readonly onError: readonly Hook[];
}

export interface Priority {
  readonly nice: number | undefined;
  readonly io: 'best-effort' | 'idle' | undefined;
}

const command = z.union([z.string().min(1), z.array(z.string()).min(1)]);
const timeout = z
  .string()
  .refine((text) => (parseDuration(text) ?? 0) > 0, 'must be a duration such as 90s, 15m or 2h');
const hook = z.union([
  z.string().min(1),
  z.strictObject({ run: command, timeout: timeout.default(DEFAULT_TIMEOUT) }),
]);
type HookInFile = z.output<typeof hook>;

const jobHooks = z
  .strictObject({
    before: z.array(hook).default([]).describe('Before the job; one that fails keeps it from running.'),
    after: z.array(hook).default([]).describe('When it went well.'),
    on_error: z.array(hook).default([]).describe('When it, or a program before it, failed.'),
  })
  .prefault({});
type JobHooksInFile = z.output<typeof jobHooks>;

export const hooksSchema = z
  .strictObject({
    backup: jobHooks,
    check: jobHooks,
    copy: jobHooks,
    drill: jobHooks,
    prune: jobHooks,
    verify: jobHooks,
  } satisfies Record<HookedJob, unknown>)
  .prefault({})
  .describe('Your own programs around a job (docs/running.md).');

export const prioritySchema = z
  .strictObject({
    nice: z.int().min(0).max(19).optional().describe('As nice(1): 19 gives way to everything else.'),
    io: z
      .enum(['best-effort', 'idle'])
      .optional()
      .describe(
        'As ionice(1): `best-effort` at its lowest level, or `idle`: only when nobody else reads or writes.',
      ),
  })
  .prefault({})
  .describe(
    'How much Lifeboat and what it starts give way to others. PostgreSQL’s own processes are not ours.',
  );

export function toHooks(file: z.output<typeof hooksSchema>): Readonly<Record<HookedJob, JobHooks>> {
  const entries = HOOKED_JOBS.map((job) => [job, toJobHooks(file[job])] as const);
  return Object.fromEntries(entries) as Record<HookedJob, JobHooks>;
}

function toJobHooks({ before, after, on_error: onError }: JobHooksInFile): JobHooks {
  return { before: before.map(toHook), after: after.map(toHook), onError: onError.map(toHook) };
}

/** Text is for the shell, as in crontab(5); a list is a program and its arguments. */
function toHook(given: HookInFile): Hook {
  const { run, timeout: limit } =
    typeof given === 'string' ? { run: given, timeout: DEFAULT_TIMEOUT } : given;
  const argv = typeof run === 'string' ? [SHELL, '-c', run] : run;
  // The first word only: what follows may hold a token of whoever is to be told.
  const label = (typeof run === 'string' ? run.trim().split(/\s+/) : run)[0] ?? '';
  return { label, argv, timeoutMs: parseDuration(limit)! };
}
