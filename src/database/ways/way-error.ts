import type { DatabaseWay } from '../../config/index.ts';
import { LifeboatError, type ErrorCode } from '../../core/errors.ts';
import { maskSecrets } from '../../core/secret.ts';
import { describeWay } from './commands.ts';

interface Known {
  readonly said: RegExp;
  readonly code: Extract<ErrorCode, 'database-unreachable' | 'database-denied'>;
  readonly problem: string;
  readonly hint: string;
}

/** What docker 20 to 28, podman 4, kubectl 1.2x and OpenSSH 8 to 10 say -> what is wrong and what to do. */
const KNOWN: readonly Known[] = [
  {
    said: /No such container|no container with name or ID|pods? "?[^"]*"? not found|\(NotFound\)/i,
    code: 'database-unreachable',
    problem: 'it is not there',
    hint: 'Compare database.via in lifeboat.yaml with `docker ps`, `podman ps` or `kubectl get pods`; compose names containers PROJECT-SERVICE-1.',
  },
  {
    said: /is not running|container state improper|is paused|is restarting|cannot exec .* in a completed pod|container not found/i,
    code: 'database-unreachable',
    problem: 'it does not run',
    hint: 'Start it, and look at its log when it does not stay up.',
  },
  {
    said: /permission denied while trying to connect|dial unix [^ ]*docker\.sock: connect: permission denied/i,
    code: 'database-denied',
    problem: 'the engine does not let this user in',
    hint: 'Run lifeboat as root, or as a member of the group docker; who is in it can do what root can.',
  },
  {
    said: /Cannot connect to (?:the Docker daemon|Podman)|Is the docker daemon running|unable to connect to Podman/i,
    code: 'database-unreachable',
    problem: 'no container engine answers',
    hint: 'Start it; where it is not at its usual place set DOCKER_HOST or CONTAINER_HOST.',
  },
  {
    said: /\(Forbidden\)|cannot create resource "pods\/exec"/i,
    code: 'database-denied',
    problem: 'the cluster does not allow it',
    hint: 'Give the account a role with `get` on pods and `create` on pods/exec in this namespace.',
  },
  {
    said: /Unable to connect to the server|connection to the server .* was refused|current-context|context ".*" does not exist|no configuration has been provided/i,
    code: 'database-unreachable',
    problem: 'the cluster is not reached',
    hint: 'Try `kubectl get pods` as this user; name kubeconfig and context in database.via.kubectl.',
  },
  {
    said: /executable file not found|exec failed: .*no such file|OCI runtime exec failed/i,
    code: 'database-unreachable',
    problem: 'it has no shell in which lifeboat could find its way',
    hint: 'Publish the port on loopback and set database.host and database.port, or mount the directory of its socket.',
  },
  {
    said: /REMOTE HOST IDENTIFICATION HAS CHANGED|host key for .* has changed/i,
    code: 'database-denied',
    problem: 'its host key is not the one that is known: another machine, or somebody in between',
    hint: 'Ask whoever runs it for the fingerprint; only if it fits, remove the old key with ssh-keygen -R.',
  },
  {
    said: /Host key verification failed|host key is known for|Host key .*revoked/i,
    code: 'database-denied',
    problem: 'its host key is not known',
    hint: 'Compare the fingerprint with the real one, and let known_hosts have it: connect once by hand as the user that runs lifeboat.',
  },
  {
    said: /Permission denied \(|Too many authentication failures|No more authentication methods/i,
    code: 'database-denied',
    problem: 'it refuses our key',
    hint: 'Put the public key into authorized_keys of the account, and name the private one as database.via.identity_file (one with a passphrase needs an agent).',
  },
  {
    said: /administratively prohibited/i,
    code: 'database-denied',
    problem: 'the account may not reach the port of the database',
    hint: 'Allow it in authorized_keys (permitopen="HOST:PORT") or in sshd_config (AllowTcpForwarding, PermitOpen).',
  },
  {
    said: /bad configuration option|Bad owner or permissions|command-line.*line 0:|UNPROTECTED PRIVATE KEY/i,
    code: 'database-denied',
    problem: 'ssh does not take its configuration',
    hint: 'Correct database.via in lifeboat.yaml or the configuration of ssh.',
  },
  {
    said: /lifeboat: socat, perl/,
    code: 'database-unreachable',
    problem: 'nothing is there that could pass a connection on',
    hint: 'Install socat there, or use an image that has perl or python3.',
  },
];

/** Why a way ended, from what its command said. Codes: `database-denied`, else `database-unreachable`. */
export function wayError(way: DatabaseWay, stderr: string, what = 'the database'): LifeboatError {
  const lines = stderr
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const said = maskSecrets(lines.slice(-3).join(' / '));
  const through = describeWay(way);
  const known = KNOWN.find((each) => each.said.test(stderr));
  const context = { way: through };
  if (known !== undefined)
    return new LifeboatError(
      known.code,
      `cannot reach ${what} through ${through}: ${known.problem}: ${said}`,
      {
        hint: known.hint,
        context,
      },
    );
  return new LifeboatError(
    'database-unreachable',
    `cannot reach ${what} through ${through}: ${said === '' ? 'the connection was closed' : said}`,
    {
      hint: 'Check that PostgreSQL runs there, and where it listens: database.host and database.port are as seen from there.',
      context,
    },
  );
}
