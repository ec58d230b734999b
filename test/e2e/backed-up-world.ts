import { mkdtemp, rm, writeFile, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { loadConfig, renderConfig, type Config } from '../../src/config/index.ts';
import type { Secret } from '../../src/core/secret.ts';
import {
  startPostgres,
  startSynapse,
  synapsePython,
  type LabPostgres,
  type LabSynapse,
} from '../../src/demo/lab/index.ts';
import type { PostgresTarget } from '../../src/database/port.ts';
import { createDrillCa } from '../../src/environment/index.ts';
import { backup, type BackupOptions, type BackupOutcome } from '../../src/jobs/backup.ts';
import { openAt } from '../../src/jobs/open.ts';
import { silent } from '../../src/observe/index.ts';
import { createRepository } from '../../src/repository/index.ts';
import type { Repository } from '../../src/repository/port.ts';
import { openLocalStore } from '../../src/storage/local.ts';

/** A lab that ends with the test: PostgreSQL, as many Synapses as are asked for, and a repository. */
export interface Lab extends AsyncDisposable {
  readonly directory: string;
  readonly postgres: LabPostgres;
  startServer(
    name: string,
    options?: {
      serverName?: string;
      extraConfig?: string;
      appservice?: { name: string; yaml: string };
      python?: string;
      /** Not one of the lab's PostgreSQL. */
      database?: PostgresTarget;
    },
  ): Promise<LabSynapse>;
  /** A new repository and a lifeboat.yaml for this server. */
  configure(server: LabSynapse): Promise<Config>;
  backUp(
    config: Config,
    more?: Partial<Pick<BackupOptions, 'compareMedia' | 'sampleMedia' | 'smallDatabaseBytes' | 'progress'>>,
  ): Promise<{ outcome: BackupOutcome; repository: Repository }>;
}

export const PYTHON = synapsePython();

export async function startLab(options: { postgres?: readonly string[] } = {}): Promise<Lab> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-lab-'));
  await chmod(directory, 0o755);
  const postgres = await startPostgres({
    directory: join(directory, 'postgres'),
    settings: options.postgres ?? [],
  });
  const ca = await createDrillCa();
  const servers: LabSynapse[] = [];
  return {
    directory,
    postgres,
    startServer: async (name, options = {}) => {
      const database = options.database ?? (await postgres.createDatabase(name, name));
      const server = await startSynapse({
        directory: join(directory, name),
        python: PYTHON,
        ca,
        ...options,
        database,
      });
      servers.push(server);
      return server;
    },
    configure: async (server) => {
      const base = join(server.directory, 'lifeboat');
      const keys = { hostKeyFile: `${base}-host.key`, adminKeyFile: `${base}-admin.key` };
      const store = await openLocalStore(`${base}-repository`);
      const created = await createRepository(store, { ...keys, clock: systemClock, version: '0.0.0' });
      const identityFile = `${base}-identity`;
      await writeFile(identityFile, `${(created.recoveryIdentity as Secret).reveal()}\n`, { mode: 0o600 });
      const yaml = renderConfig({
        homeserverConfig: [server.configFile],
        program: PYTHON,
        repository: `${base}-repository`,
        ...keys,
        stateDirectory: `${base}-state`,
      });
      await writeFile(`${base}.yaml`, yaml);
      return await loadConfig(`${base}.yaml`, { LIFEBOAT_IDENTITY_FILE: identityFile });
    },
    backUp: async (config, more = {}) => {
      const repository = await openAt(config.repository, systemClock);
      const outcome = await backup({ config, repository, tags: [], progress: silent, ...more });
      return { outcome, repository };
    },
    [Symbol.asyncDispose]: async () => {
      for (const server of servers) await server.stop().catch(() => undefined);
      await postgres.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
