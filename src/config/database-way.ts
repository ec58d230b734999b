import { z } from './zod.ts';

/** How lifeboat gets to where the database can be reached: to a machine by SSH, into a container, or both in this order. */
export interface DatabaseWay {
  readonly ssh?: SshHop | undefined;
  readonly container?: ContainerHop | undefined;
  /** Where pg_dump is taken from; `auto`: from here, unless it is missing here or older than the server. */
  readonly client: 'auto' | 'host' | 'remote';
}

export interface SshHop {
  /** As ssh takes it: `USER@HOST`, `ssh://USER@HOST:PORT`, or a `Host` of the user's configuration. */
  readonly destination: string;
  readonly identityFile?: string | undefined;
  readonly knownHostsFile?: string | undefined;
  readonly options: readonly string[];
}

export type ContainerHop =
  | { readonly tool: 'docker' | 'podman'; readonly container: string; readonly user?: string | undefined }
  | {
      readonly tool: 'kubectl';
      /** A pod, or `deployment/NAME` and the like. */
      readonly pod: string;
      readonly namespace?: string | undefined;
      readonly container?: string | undefined;
      readonly context?: string | undefined;
      readonly kubeconfig?: string | undefined;
    };

/** What becomes an argument of a program must not be taken for one of its flags. */
const name = z
  .string()
  .regex(/^[^-\s]\S*$/, 'must be a name: not empty, without spaces, not beginning with -');

export const viaSchema = z
  .strictObject({
    docker: name
      .optional()
      .describe('Container that PostgreSQL runs in: everything goes through docker exec.'),
    podman: name.optional().describe('The same with podman exec.'),
    kubectl: z
      .strictObject({
        pod: name.describe(
          'Pod that PostgreSQL runs in, or deployment/NAME: everything goes through kubectl exec.',
        ),
        namespace: name.optional().describe('Its namespace. Default: that of the context.'),
        container: name.optional().describe('Container of the pod. Default: its first.'),
        context: name.optional().describe('Context of the kubeconfig. Default: the current one.'),
        kubeconfig: z.string().min(1).optional().describe('Default: KUBECONFIG, else ~/.kube/config.'),
      })
      .optional(),
    user: name
      .optional()
      .describe('Account in the container, where its own does not do (docker exec --user).'),
    ssh: name
      .optional()
      .describe(
        'USER@HOST, ssh://USER@HOST:PORT or a Host of ~/.ssh/config: the machine from which the database, or the container, is reached.',
      ),
    identity_file: z.string().min(1).optional().describe('Key of ssh, where ~/.ssh/config does not name it.'),
    known_hosts_file: z
      .string()
      .min(1)
      .optional()
      .describe('Host keys, where ~/.ssh/known_hosts does not have them.'),
    options: z.array(z.string()).default([]).describe('Further -o options of ssh, such as ProxyJump=gate.'),
    client: z
      .enum(['auto', 'host', 'remote'])
      .default('auto')
      .describe(
        'Where pg_dump is taken from: this host, the far side, or auto: this host, unless it is missing or too old there.',
      ),
  })
  .superRefine((via, context) => {
    const problem = whatIsWrong(via);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem, input: via });
  });

type Via = {
  readonly docker?: string | undefined;
  readonly podman?: string | undefined;
  readonly kubectl?: unknown;
  readonly user?: string | undefined;
  readonly ssh?: string | undefined;
  readonly identity_file?: string | undefined;
  readonly known_hosts_file?: string | undefined;
  readonly options: readonly string[];
};

function whatIsWrong(via: Via): string | undefined {
  const containers = (['docker', 'podman', 'kubectl'] as const).filter((tool) => via[tool] !== undefined);
  if (containers.length > 1)
    return `must have only one of docker, podman and kubectl, not ${containers.join(' and ')}`;
  if (containers.length === 0 && via.ssh === undefined)
    return 'must have one of docker, podman, kubectl and ssh';
  const forSsh = (['identity_file', 'known_hosts_file'] as const).filter((key) => via[key] !== undefined);
  if (via.ssh === undefined && (forSsh.length > 0 || via.options.length > 0))
    return 'has settings of ssh, but no ssh';
  if (via.user !== undefined && via.docker === undefined && via.podman === undefined)
    return 'user is for docker and podman';
  return undefined;
}

/** Paths of this machine become absolute; a kubeconfig behind ssh is one of the machine there. */
export function toDatabaseWay(via: z.output<typeof viaSchema>, at: (path: string) => string): DatabaseWay {
  const maybe = (path: string | undefined) => (path === undefined ? undefined : at(path));
  return {
    ssh:
      via.ssh === undefined
        ? undefined
        : {
            destination: via.ssh,
            identityFile: maybe(via.identity_file),
            knownHostsFile: maybe(via.known_hosts_file),
            options: via.options,
          },
    client: via.client,
    container: containerOf(via, via.ssh === undefined ? maybe : (path) => path),
  };
}

function containerOf(
  { docker, podman, kubectl, user }: z.output<typeof viaSchema>,
  pathOf: (path: string | undefined) => string | undefined,
): ContainerHop | undefined {
  if (docker !== undefined) return { tool: 'docker', container: docker, user };
  if (podman !== undefined) return { tool: 'podman', container: podman, user };
  if (kubectl === undefined) return undefined;
  return { tool: 'kubectl', ...kubectl, kubeconfig: pathOf(kubectl.kubeconfig) };
}
