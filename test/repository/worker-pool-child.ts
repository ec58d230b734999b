// One job for a worker thread, and nothing that ends the process.
import { inWorker } from '../../src/repository/worker-pool.ts';

const { bytes } = await inWorker({
  kind: 'compress',
  bytes: new Uint8Array(200_000),
  ends: [200_000],
  room: new Uint8Array(1 << 20),
});
process.stdout.write(`${bytes.length > 0}\n`);
