import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { connect } from '../../src/database/index.ts';
import { fillWorld } from '../../src/demo/world/index.ts';
import { freePorts } from '../../src/demo/lab/index.ts';
import type { Environment } from '../../src/environment/port.ts';
import { drill } from '../../src/jobs/drill.ts';
import { silent } from '../../src/observe/index.ts';
import type { RestoreContext } from '../../src/restore/context.ts';
import { snapshotSource } from '../../src/restore/snapshot-source.ts';
import type { RestoreSource } from '../../src/restore/source.ts';
import type { Step } from '../../src/restore/step.ts';
import type { DrillReport } from '../../src/verify/report/model.ts';
import { PYTHON, startLab, type Lab } from './backed-up-world.ts';

/**
 * What SYNAPSE sends within ten seconds of a start without being asked: pushes, mail, transactions to appservices, and old
 * queues for other servers. All of it points at ports of 127.0.0.1, which exist inside the sealed environment, too.
 */
let lab: Lab;
let source: RestoreSource;
let traps: { push: number; mail: number; appservice: number; federation: number };

beforeAll(async () => {
  lab = await startLab();
  const [push, mail, appservice] = await freePorts(3);
  const bridge = `id: trap
url: http://127.0.0.1:${appservice}
as_token: as_token_of_the_trap
hs_token: hs_token_of_the_trap
sender_localpart: _trap
namespaces: {users: [{exclusive: false, regex: "@.*"}], aliases: [], rooms: [{exclusive: false, regex: ".*"}]}
`;
  const home = await lab.startServer('home', {
    appservice: { name: 'trap', yaml: bridge },
    extraConfig: `email: {smtp_host: 127.0.0.1, smtp_port: ${mail}, notif_from: "home <home@example.org>", enable_notifs: true, force_tls: false}\npublic_baseurl: "http://127.0.0.1/"\n`,
  });
  const away = await lab.startServer('away');
  const world = await fillWorld(home, away, { users: 2, messages: 10, media: 1 });
  // The other server is gone: what is written now stays in the queue for it, and pushes fail and are tried again.
  await away.stop();
  traps = { push: push!, mail: mail!, appservice: appservice!, federation: away.federationPort };
  await using session = await connect(home.database, { applicationName: 'test' });
  await session.query(
    `UPDATE pushers SET data = jsonb_set(data::jsonb, '{url}', '"http://127.0.0.1:${push}/_matrix/push/v1/notify"')::text`,
  );
  const shared = world.rooms.find(({ kind }) => kind === 'shared')!;
  for (const text of ['one', 'two', 'three'])
    await world.ours[0]!.send(shared.roomId, 'm.room.message', { msgtype: 'm.text', body: text });
  const config = await lab.configure(home);
  const { outcome, repository } = await lab.backUp(config);
  source = await snapshotSource(repository, outcome.commit.entry.id);
}, 180_000);

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

async function drillWithTraps(
  alterSteps?: (steps: readonly Step<RestoreContext>[]) => Step<RestoreContext>[],
): Promise<{ report: DrillReport; caught: Record<string, number> }> {
  const caught: Record<string, number> = { push: 0, mail: 0, appservice: 0, federation: 0 };
  const setTraps = async (environment: Environment) => {
    for (const [name, port] of Object.entries(traps)) {
      await environment.listen(port, (socket) => {
        caught[name] = (caught[name] ?? 0) + 1;
        socket.destroy();
      });
    }
  };
  const settings = {
    peer: false,
    timeoutMs: 300_000,
    workDirectory: lab.directory,
    postgresDirectory: undefined,
  };
  const report = await drill({
    ...{
      source,
      program: PYTHON,
      settings,
      clientDirectory: undefined,
      keep: false,
      clock: systemClock,
      progress: silent,
    },
    onPrepared: setTraps,
    alterSteps,
  });
  return { report, caught };
}

/** The same copy with its own appservices, pushers and federation: what the overlay is there to prevent. */
function withoutFence(steps: readonly Step<RestoreContext>[]): Step<RestoreContext>[] {
  return steps.map((step) => ({
    ...step,
    check: (context) => step.check(context),
    apply: async (context) => {
      await step.apply(context);
      if (step.id !== 'verify-configuration') return;
      const overlay = context.found.launch!.configFiles.at(-1)!;
      const fence = [
        'app_service_config_files',
        'notify_appservices',
        'start_pushers',
        'push',
        'federation_domain_whitelist',
        'ip_range_blacklist',
        'ip_range_whitelist',
      ];
      const lines = (await readFile(overlay, 'utf8'))
        .split('\n')
        .filter((line) => !fence.some((key) => line.startsWith(`${key}:`)));
      const bridge = context.found.configFiles!.find(({ role }) => role === 'appservice')!.path;
      await writeFile(
        overlay,
        `${lines.join('\n')}\nip_range_blacklist: []\napp_service_config_files: [${JSON.stringify(bridge)}]\n`,
      );
      await context.handOver(context.target.configDirectory);
    },
  }));
}

describe('a restored copy', () => {
  it('sends nothing: no push, no mail, no transaction to appservices or other servers', async () => {
    const { report, caught } = await drillWithTraps();
    expect(caught).toEqual({ push: 0, mail: 0, appservice: 0, federation: 0 });
    expect(report.result).toBe('PASS');
  });

  it('would have sent to the appservice and to its old federation queue without the overlay (so the test above can fail)', async () => {
    const { caught } = await drillWithTraps(withoutFence);
    expect(caught['appservice']).toBeGreaterThan(0);
    expect(caught['push']! + caught['federation']!).toBeGreaterThan(0);
  });
});
