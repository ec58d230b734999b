import { describe, expect, it } from 'vitest';
import { parseLocation } from '../../src/storage/location.ts';

describe('the place of a repository', () => {
  it.each([
    ['/srv/lifeboat', { kind: 'local', directory: '/srv/lifeboat' }],
    ['s3://bucket', { kind: 's3', endpoint: undefined, bucket: 'bucket', prefix: '' }],
    ['s3://bucket/a/b/', { kind: 's3', endpoint: undefined, bucket: 'bucket', prefix: 'a/b' }],
    [
      's3:http://[::1]:9000/bucket',
      { kind: 's3', endpoint: 'http://[::1]:9000', bucket: 'bucket', prefix: '' },
    ],
    [
      's3:https://s3.example.com/my.bucket//prefix',
      { kind: 's3', endpoint: 'https://s3.example.com', bucket: 'my.bucket', prefix: 'prefix' },
    ],
    ['sftp:host:backup', { kind: 'sftp', host: 'host', user: undefined, port: undefined, path: 'backup' }],
    ['sftp:me@host:/srv/b', { kind: 'sftp', host: 'host', user: 'me', port: undefined, path: '/srv/b' }],
    ['sftp:me@[::1]:/b', { kind: 'sftp', host: '::1', user: 'me', port: undefined, path: '/b' }],
    ['sftp://me@host:2222//srv/b', { kind: 'sftp', host: 'host', user: 'me', port: 2222, path: '/srv/b' }],
    ['sftp://host/b', { kind: 'sftp', host: 'host', user: undefined, port: undefined, path: 'b' }],
  ])('%s is understood', (place, location) => {
    expect(parseLocation(place)).toEqual(location);
  });

  it.each([
    ...[
      's3:',
      's3:bucket',
      's3://',
      's3://AB',
      's3:https://host',
      's3:ftp://host/bucket',
      's3://bucket/../x',
    ],
    ...['s3:https://key:secret@host/bucket', 's3://bucket?x=1'],
    ...[
      'sftp:',
      'sftp:host',
      'sftp://host',
      'sftp:-oProxyCommand=x:/b',
      'sftp:-l@host:/b',
      'sftp://a:b@h:1/x',
    ],
  ])('%s is refused, with the forms that are understood and without what may be a secret', (place) => {
    const refusal = expect.objectContaining({
      code: 'usage',
      message: expect.not.stringContaining('secret'),
      hints: [expect.stringMatching(/^Write (s3|sftp):/)],
    });
    expect(() => parseLocation(place)).toThrow(refusal);
  });
});
