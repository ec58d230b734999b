import { describe, expect, it } from 'vitest';
import { RSYNC_EXITS, rsyncError } from '../../../src/media/rsync/exit-codes.ts';

/** EXIT VALUES of rsync(1); 0 is success and 24 is told as an omission. */
const OF_THE_MANUAL = [1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 20, 21, 22, 23, 25, 30, 35];
const SUMMARY =
  'rsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c(1394)';

describe('an exit status of rsync', () => {
  it('is explained with what to do, whichever its manual has', () => {
    for (const status of OF_THE_MANUAL) expect(RSYNC_EXITS[status]?.hint, `${status}`).toBeTruthy();
    expect(RSYNC_EXITS[24]).toBeUndefined();
  });

  it('of 23 comes with the lines that name the files, and without the one that repeats it', () => {
    const denied = 'rsync: [sender] send_files failed to open "/m/local_content/a": Permission denied (13)';
    expect(rsyncError(23, `${denied}\n${SUMMARY}\n`, undefined)).toMatchObject({
      code: 'command-failed',
      message: `rsync ended with 23: some files could not be transferred: ${denied}`,
    });
  });

  it('of a full place is a full disk, whatever the number', () => {
    const full = 'rsync: [receiver] write failed on "/b/x": No space left on device (28)\n';
    for (const status of [11, 12, 23]) expect(rsyncError(status, full, 'sftp:b:/x').code).toBe('disk-full');
  });

  it('of a line that broke may be tried again, of a host key that is not known not', () => {
    const broken = 'rsync: connection unexpectedly closed (0 bytes received so far) [sender]\n';
    expect(rsyncError(12, broken, 'sftp:b:/x')).toMatchObject({ code: 'store-unreachable', transient: true });
    const unknown = 'Host key verification failed.\nrsync error: unexplained error (code 255) at io.c(231)\n';
    expect(rsyncError(255, unknown, 'sftp:b:/x')).toMatchObject({ code: 'store-denied', transient: false });
  });

  it('that no manual has, and a signal, are told as what they are', () => {
    expect(rsyncError(77, '', undefined).message).toBe(
      'rsync ended with 77: an exit status that rsync(1) does not know',
    );
    expect(rsyncError(-1, '', undefined).message).toContain('ended by a signal');
  });
});
