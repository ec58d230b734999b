import { Secret } from '../../../core/secret.ts';
import type { Inventory, InventoryFile, SecretEntry } from '../../port.ts';
import { composeOf, parseEnvironment } from './compose.ts';
import { machineAt, type Machine } from './machine.ts';
import { findReverseProxy, findWellKnown } from './reverse-proxy.ts';
import { findUnits } from './systemd.ts';

export interface Surroundings {
  readonly files: readonly InventoryFile[];
  readonly secrets: readonly SecretEntry[];
  readonly warnings: readonly string[];
}

/**
 * What belongs to a homeserver and is named nowhere in homeserver.yaml: how it is started (systemd, docker compose, their
 * environment files), and how it is reached (reverse proxy, .well-known). Only what is found where such things usually are.
 */
export async function findSurroundings(
  { serverName, listeners, files }: Pick<Inventory, 'serverName' | 'listeners' | 'files'>,
  root = '/',
): Promise<Surroundings> {
  const machine = machineAt(root);
  const configFiles = files.filter(({ role }) => role === 'homeserver-config').map(({ path }) => path);
  const units = await findUnits(machine, configFiles);
  const compose = await composeOf(machine, configFiles);
  const proxy = await findReverseProxy(
    machine,
    serverName,
    listeners.map(({ port }) => port),
  );
  const wellKnown = await findWellKnown(machine, serverName, proxy.roots);
  const environment = [...new Set([...units.environment, ...(compose?.environmentFiles ?? [])])];
  const as =
    (role: string) =>
    (path: string): InventoryFile => ({
      path,
      role,
      component: 'config',
      optional: true,
    });
  const found = [
    ...[...units.units, ...(compose?.files ?? [])].map(as('service-unit')),
    ...environment.map(as('environment')),
    ...proxy.files.map(as('reverse-proxy')),
    ...wellKnown.map(as('well-known')),
  ];
  const [readable, warnings]: [InventoryFile[], string[]] = [[], []];
  for (const file of found) {
    const path = machine.at(file.path);
    if (await machine.mayRead(file.path)) readable.push({ ...file, path });
    else warnings.push(`${path} (${file.role}) cannot be read and is left out`);
  }
  return {
    files: readable,
    warnings,
    secrets: (await Promise.all(environment.map((path) => secretsOf(machine, path)))).flat(),
  };
}

const SECRET_VARIABLE = /(?:PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY|ACCESS_KEY|PEPPER)/i;

async function secretsOf(machine: Machine, path: string): Promise<SecretEntry[]> {
  const variables = Object.entries(parseEnvironment((await machine.read(path)) ?? ''));
  return variables
    .filter(([name, value]) => SECRET_VARIABLE.test(name) && value !== '')
    .map(([name, value]) => ({
      name: `environment ${name}`,
      file: machine.at(path),
      value: new Secret(value),
    }));
}
