import { expect, it } from 'vitest';
import { parseInfo, parseSegments } from '../../../src/database/pgbackrest/info.ts';

/** As pgBackRest 2.45 prints it. */
const INFO =
  '[{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1","max":"00000001000000000000000D","min":"000000010000000000000001"}],"backup":[{"archive":{"start":"00000001000000000000000A","stop":"00000001000000000000000B"},"backrest":{"format":5,"version":"2.45"},"database":{"id":1,"repo-key":1},"error":false,"info":{"delta":23107131,"repository":{"delta":2818226,"size":2818226},"size":23107131},"label":"20261125-163808F","lsn":{"start":"0/A000028","stop":"0/B000088"},"prior":null,"reference":null,"timestamp":{"start":1795624688,"stop":1795624697},"type":"full"}],"cipher":"none","db":[{"id":1,"repo-key":1,"system-id":7712147565454219954,"version":"15"}],"name":"t","repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],"status":{"code":0,"lock":{"backup":{"held":false}},"message":"ok"}}]';

it('reads all digits of a system identifier, which is no number of JavaScript', () => {
  expect(parseInfo(INFO, 't').db[0]?.['system-id']).toBe('7712147565454219954');
});

it('says that a stanza is not there, in the words of pgBackRest', () => {
  const missing =
    '[{"archive":[],"backup":[],"cipher":"none","db":[],"name":"nope","status":{"code":1,"message":"missing stanza path"}}]';
  expect(() => parseInfo(missing, 'nope')).toThrow('pgBackRest has no stanza nope: missing stanza path');
});

it('takes whole segments for WAL, and no history, backup or partial file', () => {
  const hash = 'a'.repeat(40);
  const listed = Object.fromEntries(
    [
      `000000010000000000000001-${hash}.zst`,
      `000000010000000000000002-${hash}`,
      '00000002.history',
      `000000010000000000000003.partial-${hash}.gz`,
      '000000010000000000000002.00000028.backup',
    ].map((name) => [name, { type: 'file', size: 1, time: 1795624686 }]),
  );
  expect([...parseSegments(JSON.stringify(listed)).keys()]).toEqual([
    '000000010000000000000001',
    '000000010000000000000002',
  ]);
});
