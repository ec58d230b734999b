import { appendFile, chown, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from '../../src/database/index.ts';
import { runCommand } from '../../src/exec/index.ts';
import { startLab, type Lab } from './backed-up-world.ts';

/** A lab whose cluster archives into a pgBackRest repository of its own. */
export interface ArchivingLab {
  readonly lab: Lab;
  readonly stanza: string;
  readonly configFile: string;
  /** Of pgBackRest: below it `archive/` and `backup/`. */
  readonly repository: string;
  /** As the owner of the cluster. */
  pgBackRest(command: string, ...options: string[]): Promise<string>;
  /** What lifeboat.yaml has in addition. */
  readonly yaml: string;
}

export async function startArchivingLab(): Promise<ArchivingLab> {
  const lab = await startLab({ postgres: ['archive_mode=on', 'unix_socket_directories=/tmp'] });
  const base = join(lab.directory, 'pgbackrest');
  const [repository, log, lock] = ['repository', 'log', 'lock'].map((name) => join(base, name));
  const data = join(lab.directory, 'postgres', 'data');
  const { uid, gid } = await stat(data);
  for (const path of [base, repository!, log!, lock!]) {
    await mkdir(path, { mode: 0o755 });
    await chown(path, uid, gid);
  }
  const configFile = join(base, 'pgbackrest.conf');
  const { port, user } = lab.postgres.target;
  const lines = [
    '[global]',
    `repo1-path=${repository}`,
    'repo1-retention-full=1',
    `log-path=${log}`,
    `lock-path=${lock}`,
    'start-fast=y',
    'archive-timeout=20',
    '[lab]',
    `pg1-path=${data}`,
    `pg1-port=${port}`,
    'pg1-socket-path=/tmp',
    `pg1-user=${user}`,
    'pg1-database=postgres',
  ];
  await writeFile(configFile, `${lines.join('\n')}\n`, { mode: 0o644 });
  // pgBackRest comes by the socket, as the owner of the cluster.
  const authentication = join(data, 'pg_hba.conf');
  await writeFile(authentication, `local all ${user} trust\n${await readFile(authentication, 'utf8')}`);
  const runAs = await nameOf(uid);
  const becoming =
    process.getuid?.() === 0 ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'] : [];
  const pgBackRest = async (command: string, ...options: string[]) => {
    const argv = ['pgbackrest', `--config=${configFile}`, '--stanza=lab', ...options, command];
    return (await runCommand([...becoming, ...argv], { check: true, cwd: '/' })).stdout;
  };
  await using session = await connect(lab.postgres.target, { applicationName: 'test' });
  await session.query('SELECT pg_reload_conf()');
  await pgBackRest('stanza-create');
  // Not before: a command that fails is tried again after a minute only.
  await session.query(
    `ALTER SYSTEM SET archive_command = 'pgbackrest --config=${configFile} --stanza=lab archive-push %p'`,
  );
  await session.query('SELECT pg_reload_conf()');
  const yaml = [
    'database:',
    '  engine: pgbackrest',
    `  pgbackrest: {stanza: lab, config: ${configFile}${runAs === undefined ? '' : `, run_as: ${runAs}`}}`,
  ].join('\n');
  return { lab, stanza: 'lab', configFile, repository: repository!, pgBackRest, yaml };
}

async function nameOf(uid: number): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const passwd = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  return passwd.find(([, , id]) => id === String(uid))?.[0];
}

export async function addTo(file: string, yaml: string): Promise<void> {
  await appendFile(file, `${yaml}\n`);
}
