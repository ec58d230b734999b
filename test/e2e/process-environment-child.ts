// Owns a sealed environment until it is ended: by a signal, or by kill -9. argv: work directory, a token for `sleep`.
import { createProcessEnvironment } from '../../src/environment/index.ts';

const [workDirectory = '', token = ''] = process.argv.slice(2);
const environment = await createProcessEnvironment({ workDirectory, readOnlyPaths: [], hostNames: [] });
// `on` and not `once`: execa ends a process that listens no longer while the signal is still being told.
process.on('SIGINT', () => {
  void environment.destroy().then(() => process.exit(130));
});
await environment.prepare();
await environment.postgres();
await environment.run('sleeper', { argv: ['sh', '-c', `setsid sleep ${token} & sleep ${token}`] });
await environment.listen(9443, () => undefined);
process.stdout.write(`${environment.directory}\n`);
