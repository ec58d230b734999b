// Everything that reads the code without running it. Exit status 1 when something is wrong.
import { checks, runStage } from './stages.mjs';

let failed = 0;
for (const stage of checks) failed += (await runStage(stage)) ? 0 : 1;
process.exitCode = failed === 0 ? 0 : 1;
