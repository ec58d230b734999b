import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerQuery } from '../../src/environment/process/agent/dns.ts';
import { query } from '../environment/query.ts';

const settings = {
  hostNames: ['example.com'],
  srv: { '_s._tcp.example.com': { target: 'example.com', port: 1 } },
};

describe("the sandbox' name server", () => {
  it('survives every datagram', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        answerQuery(Buffer.from(bytes), settings);
      }),
    );
  });

  it('survives a query with any bytes changed, and never answers one name with the address of another', () => {
    const changes = fc.array(fc.tuple(fc.nat(200), fc.integer({ min: 0, max: 255 })), { maxLength: 6 });
    fc.assert(
      fc.property(fc.domain(), fc.constantFrom(1, 28, 33), changes, (name, type, changed) => {
        const datagram = query(name, type);
        for (const [at, value] of changed) if (at < datagram.length) datagram[at] = value;
        const answered = answerQuery(datagram, settings);
        const hasAnswer = answered !== undefined && answered.reply.readUInt16BE(6) > 0;
        if (hasAnswer) expect(datagram.toString('latin1').toLowerCase()).toContain('\x07example\x03com\0');
      }),
    );
  });
});
