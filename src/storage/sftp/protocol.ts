/** Numbers of SFTP version 3 (draft-ietf-secsh-filexfer-02; OpenSSH's PROTOCOL file for its extensions). */
export const VERSION = 3;

export const REQUEST = {
  init: 1,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  stat: 17,
  extended: 200,
} as const;

export const RESPONSE = {
  version: 2,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attributes: 105,
  extended: 201,
} as const;

export const STATUS = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const;

export const OPEN = { read: 1, write: 2, create: 8, exclusive: 32 } as const;

/** Which fields follow in file attributes. */
export const ATTRIBUTE = { size: 1, owner: 2, permissions: 4, times: 8, extended: 0x80000000 } as const;

export const EXTENSION = {
  hardlink: 'hardlink@openssh.com',
  fsync: 'fsync@openssh.com',
  statvfs: 'statvfs@openssh.com',
} as const;

/** Bytes of data in one READ or WRITE: every server takes as much (section 3 of the draft: 34,000 bytes a packet). */
export const DATA_BYTES = 32 * 1024;
/** The longest packet of OpenSSH (SFTP_MAX_MSG_LENGTH); a longer one is no SFTP. */
export const LONGEST_PACKET = 256 * 1024;
