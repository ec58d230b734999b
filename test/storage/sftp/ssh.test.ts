import { describe, expect, it } from 'vitest';
import { parseLocation } from '../../../src/storage/location.ts';
import { locationOf, sshCommand } from '../../../src/storage/sftp/ssh-command.ts';
import { connectionError } from '../../../src/storage/sftp/ssh-errors.ts';

const place = { host: 'backup.example', path: '/srv/lifeboat' };

describe('the command line of ssh', () => {
  it('asks for the subsystem, never for a password, and checks the host key', () => {
    const argv = sshCommand({ ...place, user: 'matrix', port: 2222 });
    expect(argv.slice(0, 2)).toEqual(['ssh', '-oBatchMode=yes']);
    expect(argv.slice(-8)).toEqual(['-l', 'matrix', '-p', '2222', '-s', '--', 'backup.example', 'sftp']);
    expect(argv).toContain('-oStrictHostKeyChecking=yes');
  });

  it('lets the options of the user win, because ssh takes the first of its kind', () => {
    const argv = sshCommand({ ...place, sshOptions: ['ProxyJump=gate', 'StrictHostKeyChecking=accept-new'] });
    expect(argv.indexOf('-oStrictHostKeyChecking=accept-new')).toBeLessThan(
      argv.indexOf('-oStrictHostKeyChecking=yes'),
    );
  });

  it.each(['StrictHostKeyChecking=no', 'stricthostkeychecking  OFF', ' StrictHostKeyChecking = "no"'])(
    'refuses to leave the host key unchecked: %s',
    (option) => {
      expect(() => sshCommand({ ...place, sshOptions: [option] })).toThrow('cannot be switched off');
    },
  );

  it.each(['', '-oProxyCommand=evil'])('refuses the host %j', (host) => {
    expect(() => sshCommand({ ...place, host })).toThrow('is not the name of an SSH host');
  });

  it('names files with blanks and per cent signs as they are', () => {
    const argv = sshCommand({ ...place, identityFile: '/my keys/50%', knownHostsFile: '/my keys/hosts' });
    expect(argv).toContain('-oIdentityFile="/my keys/50%%"');
    expect(argv).toContain('-oUserKnownHostsFile="/my keys/hosts"');
  });
});

describe('the location of an SFTP store', () => {
  it.each([
    { host: 'h', user: undefined, port: undefined, path: 'relative' },
    { host: 'h', user: 'u', port: undefined, path: '/absolute' },
    { host: 'h', user: 'u', port: 22, path: '/absolute' },
    { host: '::1', user: 'u', port: 22, path: 'relative' },
  ])('can be read back: $user $host $port $path', (options) => {
    expect(parseLocation(locationOf(options))).toEqual({ kind: 'sftp', ...options });
  });
});

describe('what ssh says', () => {
  it.each([
    ['ssh: Could not resolve hostname x: Name or service not known', 'store-unreachable'],
    ['ssh: connect to host x port 22: Connection refused', 'store-unreachable'],
    ['Connection to x closed by remote host.', 'store-unreachable'],
    ['client_loop: send disconnect: Broken pipe', 'store-unreachable'],
    ['', 'store-unreachable'],
    ['Host key verification failed.', 'store-denied'],
    ['u@x: Permission denied (publickey,password).', 'store-denied'],
    ['Received disconnect from x: Too many authentication failures', 'store-denied'],
    ['subsystem request failed on channel 0', 'store-denied'],
    ['command-line: line 0: Bad configuration option: proxyjmup', 'store-denied'],
  ])('%j is %s', (stderr, code) => {
    const error = connectionError('sftp:x:/y', stderr);
    expect(error).toMatchObject({ code, transient: code === 'store-unreachable' });
    expect(error.message).toContain(stderr);
    expect(error.hints).toHaveLength(code === 'store-denied' ? 1 : 0);
  });
});
