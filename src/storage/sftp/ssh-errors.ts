import { LifeboatError } from '../../core/errors.ts';
import { maskSecrets } from '../../core/secret.ts';
import { ProtocolError } from './wire.ts';

/** What ssh says (OpenSSH, exit status 255 for all of it) -> what is wrong and what to do. */
const PERMANENT: readonly { readonly said: RegExp; readonly problem: string; readonly hint: string }[] = [
  {
    said: /REMOTE HOST IDENTIFICATION HAS CHANGED|host key for .* has changed/i,
    problem: 'its host key is not the one that is known: another machine, or somebody in between',
    hint: 'Ask whoever runs it for the fingerprint; only if it fits, remove the old key with ssh-keygen -R.',
  },
  {
    said: /Host key verification failed|host key is known for|Host key .*revoked/i,
    problem: 'its host key is not known',
    hint: 'Compare the fingerprint with the real one, and let known_hosts have it: connect once by hand as the user that runs lifeboat.',
  },
  {
    said: /Permission denied \(|Too many authentication failures|No more authentication methods/i,
    problem: 'it refuses our key',
    hint: 'Put the public key into authorized_keys of the account, and name the private one as sftp.identity_file (one with a passphrase needs an agent).',
  },
  {
    said: /subsystem request failed/i,
    problem: 'it offers no SFTP',
    hint: 'Let its sshd_config have: Subsystem sftp internal-sftp.',
  },
  {
    said: /bad configuration option|Bad owner or permissions|command-line.*line 0:|UNPROTECTED PRIVATE KEY/i,
    problem: 'ssh does not take its configuration',
    hint: 'Correct the sftp block of lifeboat.yaml or the configuration of ssh.',
  },
];

/** Why the connection is gone, from what ssh said. Codes: `store-denied`, else `store-unreachable`. */
export function connectionError(location: string, stderr: string): LifeboatError {
  const lines = stderr
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const said = maskSecrets(lines.slice(-3).join(' / '));
  const known = PERMANENT.find((each) => each.said.test(stderr));
  if (known !== undefined)
    return new LifeboatError('store-denied', `${location}: ${known.problem}: ${said}`, { hint: known.hint });
  return new LifeboatError(
    'store-unreachable',
    `${location}: ${said === '' ? 'the connection was closed' : said}`,
  );
}

/** What the server sends is no SFTP. */
export function notSftp(location: string, cause: Error): LifeboatError {
  const problem = cause instanceof ProtocolError ? cause.message : 'its answer cannot be read';
  return new LifeboatError('store-denied', `${location} does not speak SFTP: ${problem}`, {
    cause,
    hint: 'Make sure that the account is allowed SFTP, and that no login script of it prints anything.',
  });
}
