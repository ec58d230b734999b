import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '../../core/secret.ts';
import type { PostgresTarget } from '../../database/port.ts';
import type { DrillCa } from '../../environment/index.ts';
import type { Service } from '../../exec/index.ts';
import { issueLabCertificate } from './certificates.ts';
import { freePorts } from './free-port.ts';
import { runSynapse } from './run-synapse.ts';
import { synapseConfig, synapseLogConfig } from './synapse-config.ts';

export interface LabSynapseOptions {
  /** Holds everything of this server: configuration, keys, media, logs. */
  readonly directory: string;
  readonly database: PostgresTarget;
  /** Interpreter of a virtual environment with Synapse. */
  readonly python: string;
  /** Signs this server's certificate, and is the only one that this server trusts. */
  readonly ca: DrillCa;
  /** Default `localhost:<federationPort>`, which other servers of the lab find without DNS. */
  readonly serverName?: string;
  readonly federationPort?: number;
  readonly clientPort?: number;
  /** Name and text of an appservice registration file. */
  readonly appservice?: { readonly name: string; readonly yaml: string };
  /** Further top-level keys of homeserver.yaml, as YAML. */
  readonly extraConfig?: string;
  /** Ends the waiting for a start. */
  readonly signal?: AbortSignal;
}

export interface LabSynapse {
  readonly serverName: string;
  readonly clientUrl: string;
  readonly directory: string;
  readonly configFile: string;
  readonly mediaDirectory: string;
  readonly signingKeyFile: string;
  readonly registrationSecret: Secret;
  readonly database: PostgresTarget;
  readonly clientPort: number;
  readonly federationPort: number;
  /** After `stop`: the same server again, with whatever its files say now. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Writes the configuration and starts the server, which makes its own signing key. Errors: `start-failed`, `interrupted`. */
export async function startSynapse(options: LabSynapseOptions): Promise<LabSynapse> {
  const { directory, database, appservice } = options;
  const free = await freePorts(2);
  const [federationPort, clientPort] = [options.federationPort ?? free[0]!, options.clientPort ?? free[1]!];
  const serverName = options.serverName ?? `localhost:${federationPort}`;
  const hostName = serverName.split(':')[0]!;
  await mkdir(directory, { recursive: true });
  const certificate = await issueLabCertificate(options.ca, join(directory, 'tls'), [
    ...new Set([hostName, 'localhost']),
    '127.0.0.1',
  ]);
  const registrationSecret = new Secret(randomBytes(16).toString('hex'));
  const appserviceFiles = appservice === undefined ? [] : [join(directory, `${appservice.name}.yaml`)];
  const values = {
    directory,
    serverName,
    clientPort,
    federationPort,
    database,
    certificate,
    registrationSecret,
    appserviceFiles,
  };
  const configFile = join(directory, 'homeserver.yaml');
  await writeFile(configFile, synapseConfig({ ...values, extraConfig: options.extraConfig ?? '' }), {
    mode: 0o600,
  });
  await writeFile(join(directory, 'log.yaml'), synapseLogConfig(directory));
  for (const file of appserviceFiles) await writeFile(file, appservice!.yaml, { mode: 0o600 });

  const clientUrl = `http://127.0.0.1:${clientPort}`;
  const argv = [options.python, '-B', '-m', 'synapse.app.homeserver', '--config-path', configFile];
  let service: Service | undefined;
  const start = async () => {
    service = await runSynapse({ argv, directory, clientUrl, signal: options.signal });
  };
  const stop = async () => {
    await service?.stop();
    service = undefined;
  };
  await start();
  return {
    serverName,
    clientUrl,
    directory,
    configFile,
    registrationSecret,
    database,
    clientPort,
    federationPort,
    mediaDirectory: join(directory, 'media_store'),
    signingKeyFile: join(directory, `${hostName}.signing.key`),
    start,
    stop,
  };
}
