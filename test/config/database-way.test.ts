import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/index.ts';

const load = async (via: string) =>
  (
    await parseConfig(
      `version: 1
homeserver: {kind: synapse, config: [homeserver.yaml]}
repository: {path: /srv/lifeboat, host_key_file: host.key, state_directory: state}
database: {via: ${via}}`,
      '/etc/lifeboat/lifeboat.yaml',
      {},
    )
  ).database.via;

describe('database.via', () => {
  it('names a container, a pod, a machine, or a container of a machine', async () => {
    expect(await load('{docker: synapse-db}')).toMatchObject({
      client: 'auto',
      container: { tool: 'docker', container: 'synapse-db' },
      ssh: undefined,
    });
    expect(await load('{kubectl: {pod: deployment/db, kubeconfig: kube}}')).toMatchObject({
      container: { tool: 'kubectl', pod: 'deployment/db', kubeconfig: '/etc/lifeboat/kube' },
    });
    expect(await load('{ssh: me@far, identity_file: id, docker: db, client: remote}')).toMatchObject({
      client: 'remote',
      ssh: { destination: 'me@far', identityFile: '/etc/lifeboat/id' },
      container: { tool: 'docker', container: 'db' },
    });
  });

  it('leaves the kubeconfig of another machine as it is', async () => {
    expect(await load('{ssh: far, kubectl: {pod: db, kubeconfig: .kube/other}}')).toMatchObject({
      container: { kubeconfig: '.kube/other' },
    });
  });

  it.each([
    ['{}', 'must have one of docker, podman, kubectl and ssh'],
    ['{docker: a, podman: b}', 'only one of docker, podman and kubectl, not docker and podman'],
    ['{docker: a, identity_file: b}', 'has settings of ssh, but no ssh'],
    ['{ssh: a, user: b}', 'user is for docker and podman'],
    ['{docker: --privileged}', 'must be a name'],
    ['{ssh: -oProxyCommand=x}', 'must be a name'],
    ['{docker: a, client: there}', 'database.via.client'],
  ])('refuses %s', async (via, problem) => {
    await expect(load(via)).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringContaining(problem),
    });
  });
});
