// Installs what a clone needs, where it is missing: `npm run demo` and `npm test` call it first.
// Plain JavaScript for the Node that is there (20 or newer), without dependencies: nothing is installed yet when it runs.
//
//   node scripts/setup.mjs [--for tests]
import { parseArgs } from 'node:util';
import { docker } from './setup/docker.mjs';
import { nodePackages } from './setup/node-packages.mjs';
import { postgresMajors } from './setup/postgres-majors.mjs';
import { systemPrograms } from './setup/system-programs.mjs';
import { synapse } from './setup/synapse.mjs';
import { synapseS3 } from './setup/synapse-s3.mjs';
import { SetupError, formatSeconds, say } from './setup/terminal.mjs';
import { versitygw } from './setup/versitygw.mjs';

const { values } = parseArgs({ options: { for: { type: 'string', default: 'demo' } } });
const forTests = values.for === 'tests';
const parts = [
  nodePackages(),
  systemPrograms({ forTests }),
  synapse(),
  ...(forTests ? [synapseS3(), versitygw(), postgresMajors(), docker()] : []),
];

try {
  for (const part of parts) {
    const missing = await part.missing();
    if (missing === undefined) continue;
    say(`${part.title}: ${missing}; installing, about ${part.takes}`);
    const started = performance.now();
    await part.install();
    const still = await part.missing();
    if (still !== undefined)
      throw new SetupError(`${part.title}: ${still}, although the installation went through`, part.advice);
    say(`${part.title}: done in ${formatSeconds(performance.now() - started)}`);
  }
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`setup: error: ${error.message}\nhint: ${error.advice}\n`);
  process.exitCode = 1;
}
