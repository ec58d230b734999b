import { describe, expect, it } from 'vitest';
import { answerQuery } from '../../src/environment/process/agent/dns.ts';
import { A, AAAA, query, SRV } from './query.ts';

const settings = {
  hostNames: ['Example.com', 'probe.drill.invalid'],
  srv: { '_matrix-fed._tcp.example.com': { target: 'example.com', port: 8448 } },
};
const ask = (name: string, type: number) => {
  const answered = answerQuery(query(name, type), settings);
  if (answered === undefined) throw new Error('no reply');
  const { reply, stray } = answered;
  return { reply, stray, code: reply.readUInt16BE(2) & 15, answers: reply.readUInt16BE(6) };
};
const NAME_ERROR = 3;

describe("the sandbox' name server", () => {
  it('leads the names of the drill to loopback, whatever their letter case', () => {
    const { reply, code, answers, stray } = ask('EXAMPLE.com', A);
    expect({ code, answers, stray }).toEqual({ code: 0, answers: 1, stray: undefined });
    expect([...reply.subarray(-4)]).toEqual([127, 0, 0, 1]);
  });

  it('tells where the federation of a name is served', () => {
    const { reply, answers } = ask('_matrix-fed._tcp.example.com', SRV);
    expect(answers).toBe(1);
    const data = reply.subarray(-(6 + 'example.com'.length + 2));
    expect(data.readUInt16BE(4)).toBe(8448);
    expect(data.subarray(6).toString('latin1')).toBe('\x07example\x03com\0');
  });

  it('repeats the identifier and the question, as resolvers demand', () => {
    const asked = query('example.com', A);
    const { reply } = ask('example.com', A);
    expect(reply.subarray(0, 2)).toEqual(asked.subarray(0, 2));
    expect(reply.subarray(12, asked.length)).toEqual(asked.subarray(12));
  });

  it('has no addresses of version 6 and no other services, and counts that question as none about the outside', () => {
    for (const [name, type] of [
      ['example.com', AAAA],
      ['_matrix._tcp.example.com', SRV],
    ] as const) {
      const { code, answers, stray } = ask(name, type);
      expect({ code, answers, stray }).toEqual({ code: 0, answers: 0, stray: undefined });
    }
  });

  it.each(['matrix.org', 'push.example.com', '_matrix-fed._tcp.matrix.org', 'constructor'])(
    'denies that %s exists, and remembers who was asked for',
    (name) => {
      for (const type of [A, AAAA, SRV]) {
        const { code, answers, stray } = ask(name, type);
        expect({ code, answers, stray }).toEqual({ code: NAME_ERROR, answers: 0, stray: name });
      }
    },
  );

  it('is silent about what is no question', () => {
    const asked = query('example.com', A);
    expect(answerQuery(Buffer.alloc(0), settings)).toBeUndefined();
    expect(answerQuery(asked.subarray(0, asked.length - 3), settings)).toBeUndefined();
    const two = Buffer.from(asked);
    two.writeUInt16BE(2, 4);
    expect(answerQuery(two, settings)).toBeUndefined();
  });
});
