import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { makeRepository, readBack, seededSource, type Fixture } from '../repository/fixture.ts';

const CHILD = fileURLToPath(new URL('repository-soak-child.ts', import.meta.url));
const WHOLE = process.env['LIFEBOAT_FAULTS'] === 'whole';
/** How often each machine is killed, and how often it works undisturbed in its last life. */
const KILLS = WHOLE ? 60 : 4;
const ROUNDS = 5;
const LONGEST_LIFE_MS = 2500;
const NOW = { dryRun: false, graceMs: 0 };

/** To the pruner that is a day ahead everything is old, and to the other one nothing. */
const MACHINES = [
  { name: 'first', mode: 'backup', hours: -7 },
  { name: 'second', mode: 'backup', hours: 0 },
  { name: 'third', mode: 'backup', hours: 11 },
  { name: 'ahead', mode: 'prune', hours: 26 },
  { name: 'behind', mode: 'prune', hours: -5 },
] as const;

interface Life {
  readonly killed: boolean;
  readonly said: readonly string[];
}

async function live(
  { directory, root }: Fixture,
  machine: (typeof MACHINES)[number],
  mortal: boolean,
): Promise<Life> {
  const args = [CHILD, directory, root, machine.name, machine.mode, `${machine.hours}`, `${ROUNDS}`];
  const running = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  let death: NodeJS.Timeout | undefined;
  running.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  running.stdout.on('data', (text: Buffer) => {
    stdout += text.toString();
    if (mortal) death ??= setTimeout(() => running.kill('SIGKILL'), randomInt(LONGEST_LIFE_MS));
  });
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    running.on('close', (...how) => resolve(how)),
  );
  clearTimeout(death);
  const killed = signal === 'SIGKILL';
  expect(killed || code === 0, `${machine.name}: ${stderr}`).toBe(true);
  // A line that was being written may be cut off.
  return { killed, said: stdout.split('\n').slice(0, -1) };
}

it(
  'three machines that back up and two that prune, killed again and again, with clocks hours apart, lose nothing',
  { timeout: (WHOLE ? 60 : 5) * 60_000 },
  async () => {
    await using fixture = await makeRepository();
    const lives = await Promise.all(
      MACHINES.map(async (machine) => {
        const own: Life[] = [];
        for (let kill = 0; kill <= KILLS; kill += 1) own.push(await live(fixture, machine, kill < KILLS));
        return own;
      }),
    ).then((all) => all.flat());
    const said = lives.flatMap((life) => life.said);
    const killed = lives.filter((life) => life.killed).length;
    const committed = said.flatMap((line) => /^committed (\S+)/.exec(line)?.[1] ?? []);
    const forgotten = new Set(said.flatMap((line) => /^forgetting (\S+)/.exec(line)?.[1] ?? []));
    expect(killed).toBeGreaterThan(MACHINES.length);
    // Of the last lives alone, less what other machines' prunes refused.
    expect(committed.length).toBeGreaterThan(ROUNDS);
    expect(forgotten.size).toBeGreaterThan(0);

    const repository = await fixture.open();
    const snapshots = await repository.snapshots();
    expect(snapshots.map(({ id }) => id)).toEqual(
      expect.arrayContaining(committed.filter((id) => !forgotten.has(id))),
    );
    expect(await repository.check({ readData: 'all', decrypt: true })).toMatchObject({
      ok: true,
      findings: [],
    });
    for (const { id } of snapshots) {
      const source = await readBack(repository, id);
      expect(source).toEqual(seededSource(source.signingKey.slice('ed25519 a '.length).trim()));
    }
    await repository.prune(NOW);
    expect(await repository.prune({ ...NOW, dryRun: true })).toMatchObject({ markedObjects: 0 });
    expect(await repository.check({ readData: 'all', decrypt: true })).toMatchObject({
      ok: true,
      findings: [],
    });
    if (!WHOLE) return;
    const refused = said.filter((line) => line === 'refused locked').length;
    process.stdout.write(
      `${killed} kills, ${committed.length} commits heard of, ${forgotten.size} forgotten, ${refused} locked, ${snapshots.length} left\n`,
    );
  },
);
