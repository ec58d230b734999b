import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LabSynapse } from '../../src/demo/lab/index.ts';
import { endingWithUs } from '../../src/demo/lab/with-us.ts';
import { freePorts } from '../../src/demo/lab/free-port.ts';
import { startService, type Service } from '../../src/exec/index.ts';

/** A server of the lab as main process, and three workers of it, behind a reverse proxy that sends each request where it belongs. */
export interface WorkerDeployment extends AsyncDisposable {
  /** The server as clients see it: through the proxy. */
  readonly server: LabSynapse;
  readonly workerFiles: readonly string[];
  readonly secretFile: string;
}

/** Without spaces: it is sent in an Authorization header, and Synapse cuts that at each. */
const SECRET = 'a-replication-secret-of-the-test';

/** As docs/workers.md of Synapse has it: `events` and clients by worker1, media by media1, outgoing federation by sender1. */
export async function deployWithWorkers(main: LabSynapse, python: string): Promise<WorkerDeployment> {
  const { directory } = main;
  const [redis, replication, events, eventsReplication, media, proxy] = await freePorts(6);
  const services: Service[] = [];
  const start = async (name: string, argv: readonly string[]) => {
    services.push(
      await startService(endingWithUs(argv), { cwd: directory, logFile: join(directory, `${name}.out`) }),
    );
  };
  let gateway: Server | undefined;
  const dispose = async () => {
    gateway?.closeAllConnections();
    gateway?.close();
    for (const service of services.toReversed()) await service.stop();
  };
  try {
    await main.stop();
    await start('redis', ['redis-server', '--port', String(redis), '--bind', '127.0.0.1', '--save', '']);
    const secretFile = join(directory, 'replication.secret');
    await writeFile(secretFile, `${SECRET}\n`, { mode: 0o600 });
    const text = await readFile(main.configFile, 'utf8');
    const listener = `listeners:\n  - {port: ${replication}, bind_addresses: ["127.0.0.1"], type: http, resources: [{names: [replication]}]}\n`;
    await writeFile(
      main.configFile,
      `${text.replace('listeners:\n', listener)}
redis: {enabled: true, host: 127.0.0.1, port: ${redis}}
worker_replication_secret_path: ${secretFile}
instance_map:
  main: {host: 127.0.0.1, port: ${replication}}
  worker1: {host: 127.0.0.1, port: ${eventsReplication}}
stream_writers: {events: worker1}
enable_media_repo: false
media_instance_running_background_jobs: media1
send_federation: false
federation_sender_instances: [sender1]
`,
    );
    await main.start();
    await mkdir(join(directory, 'workers'));
    const listen = (port: number, names: string) =>
      `  - {port: ${port}, bind_addresses: ["127.0.0.1"], type: http, x_forwarded: true, resources: [{names: [${names}]}]}\n`;
    const files = {
      worker1: `worker_listeners:\n${listen(events!, 'client')}${listen(eventsReplication!, 'replication')}`,
      media1: `enable_media_repo: true\nworker_listeners:\n${listen(media!, 'media, client')}`,
      sender1: '',
    };
    const workerFiles: string[] = [];
    for (const [name, more] of Object.entries(files)) {
      const file = join(directory, 'workers', `${name}.yaml`);
      await writeFile(file, `worker_app: synapse.app.generic_worker\nworker_name: ${name}\n${more}`);
      workerFiles.push(file);
      const configs = [main.configFile, file].flatMap((path) => ['--config-path', path]);
      await start(name, [python, '-B', '-m', 'synapse.app.generic_worker', ...configs]);
    }
    gateway = await reverseProxy(proxy!, ({ url = '' }) => {
      if (/^\/_matrix\/(?:media|client\/v1\/media)\//.test(url)) return media!;
      if (
        /^\/_matrix\/client\/[^/]+\/(?:rooms\/[^/]+\/(?:send|messages|state)|join|sync|keys\/query)/.test(url)
      )
        return events!;
      return main.clientPort;
    });
    await untilAnswered([`http://127.0.0.1:${events}/health`, `http://127.0.0.1:${media}/health`]);
    return {
      server: { ...main, clientUrl: `http://127.0.0.1:${proxy}` },
      workerFiles,
      secretFile,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** In place of nginx. */
async function reverseProxy(port: number, choose: (request: IncomingMessage) => number): Promise<Server> {
  const server = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { method, url, headers } = incoming;
    const there = request(
      { host: '127.0.0.1', port: choose(incoming), method, path: url, headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    there.on('error', () => outgoing.writeHead(502).end());
    incoming.pipe(there);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

async function untilAnswered(urls: readonly string[]): Promise<void> {
  for (const url of urls) {
    for (let tries = 0; ; tries += 1) {
      const answer = await fetch(url).catch(() => undefined);
      if (answer?.ok === true) break;
      if (tries > 600) throw new Error(`${url} did not answer within two minutes`);
      await sleep(200);
    }
  }
}
