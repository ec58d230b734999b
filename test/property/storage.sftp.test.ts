import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPacketSplitter } from '../../src/storage/sftp/framing.ts';
import { LONGEST_PACKET, RESPONSE } from '../../src/storage/sftp/protocol.ts';
import { decodeResponse, decodeVersion } from '../../src/storage/sftp/responses.ts';
import { ProtocolError, string, uint32, uint64, WireReader } from '../../src/storage/sftp/wire.ts';

const id = fc.nat({ max: 0xffffffff });
const uint32s = fc.nat({ max: 0xffffffff });
const bytes = fc.uint8Array({ maxLength: 300 });
const name = fc.string({ unit: 'grapheme', maxLength: 40 });
const attributes = fc.record({
  sizeBytes: fc.option(fc.maxSafeNat(), { nil: undefined }),
  mode: fc.option(uint32s, { nil: undefined }),
  modifiedS: fc.option(uint32s, { nil: undefined }),
});

function encodeAttributes({
  sizeBytes,
  mode,
  modifiedS,
}: typeof attributes extends fc.Arbitrary<infer T> ? T : never) {
  const flags =
    (sizeBytes === undefined ? 0 : 1) | (mode === undefined ? 0 : 4) | (modifiedS === undefined ? 0 : 8);
  return Buffer.concat([
    uint32(flags),
    ...(sizeBytes === undefined ? [] : [uint64(sizeBytes)]),
    ...(mode === undefined ? [] : [uint32(mode)]),
    ...(modifiedS === undefined ? [] : [uint32(0), uint32(modifiedS)]),
  ]);
}

const packet = (type: number, ...parts: readonly Uint8Array[]): Buffer =>
  Buffer.concat([Buffer.of(type), ...parts]);

/** What a server may send, and what it means. */
const answers = fc.oneof(
  fc.record({ id, code: uint32s, message: name }).map(({ id: of, code, message }) => ({
    packet: packet(RESPONSE.status, uint32(of), uint32(code), string(message), string('en')),
    response: { kind: 'status', id: of, code, message },
  })),
  fc.record({ id, handle: bytes }).map(({ id: of, handle }) => ({
    packet: packet(RESPONSE.handle, uint32(of), string(handle)),
    response: { kind: 'handle', id: of, handle: Buffer.from(handle) },
  })),
  fc.record({ id, data: bytes }).map(({ id: of, data }) => ({
    packet: packet(RESPONSE.data, uint32(of), string(data)),
    response: { kind: 'data', id: of, data: Buffer.from(data) },
  })),
  fc.record({ id, attributes }).map((each) => ({
    packet: packet(RESPONSE.attributes, uint32(each.id), encodeAttributes(each.attributes)),
    response: { kind: 'attributes', ...each },
  })),
  fc.record({ id, entries: fc.array(fc.record({ name, attributes }), { maxLength: 5 }) }).map((each) => ({
    packet: packet(
      RESPONSE.name,
      uint32(each.id),
      uint32(each.entries.length),
      ...each.entries.flatMap((entry) => [
        string(entry.name),
        string(`-rw------- ${entry.name}`),
        encodeAttributes(entry.attributes),
      ]),
    ),
    response: { kind: 'name', ...each },
  })),
);

/** What it returned, or the error if that is one of the protocol; any other error fails the test. */
function decoded(bytesOfPacket: Buffer): unknown {
  try {
    return decodeResponse(bytesOfPacket);
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
    return error;
  }
}

describe('the packets of SFTP', () => {
  it('mean what the server said', () => {
    fc.assert(
      fc.property(answers, (answer) => {
        expect(decodeResponse(answer.packet)).toEqual(answer.response);
      }),
    );
  });

  it('are refused when they are cut short', () => {
    fc.assert(
      fc.property(answers, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (answer, where) => {
        // A status may end after its code.
        const least = answer.response.kind === 'status' ? 9 : answer.packet.length;
        const cut = answer.packet.subarray(0, Math.floor(where * least));
        expect(decoded(cut)).toBeInstanceOf(ProtocolError);
      }),
    );
  });

  it('are refused when bytes are left over, but for what a status may say beside', () => {
    fc.assert(
      fc.property(answers, fc.uint8Array({ minLength: 1, maxLength: 9 }), (answer, more) => {
        fc.pre(answer.response.kind !== 'status');
        expect(decoded(Buffer.concat([answer.packet, more]))).toBeInstanceOf(ProtocolError);
      }),
    );
  });

  it('never do worse than a clear error, whatever they hold', () => {
    const kinds = fc.constantFrom(...Object.values(RESPONSE));
    fc.assert(
      fc.property(kinds, bytes, (type, body) => void decoded(packet(type, body))),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(bytes, (body) => {
        try {
          decodeVersion(Buffer.from(body));
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
    );
  });

  it('name no number of entries that has to be believed', () => {
    const lie = packet(RESPONSE.name, uint32(1), uint32(0xffffffff), string('a'), string('a'), uint32(0));
    expect(() => decodeResponse(lie)).toThrow(ProtocolError);
    const attributesLie = packet(RESPONSE.attributes, uint32(1), uint32(0x80000000), uint32(0xffffffff));
    expect(() => decodeResponse(attributesLie)).toThrow(ProtocolError);
  });

  it('come out of a stream whole, in whatever pieces they arrive', () => {
    const packets = fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 8 });
    fc.assert(
      fc.property(packets, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (sent, sizes) => {
        const stream = Buffer.concat(sent.map((each) => string(each)));
        const received: Buffer[] = [];
        const split = createPacketSplitter((each) => received.push(Buffer.from(each)));
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const size = sizes[turn % sizes.length]!;
          split(stream.subarray(at, at + size));
          at += size;
        }
        expect(received).toEqual(sent.map((each) => Buffer.from(each)));
      }),
    );
  });

  it.each([0, LONGEST_PACKET + 1, 0xffffffff])('are refused by their length alone: %i bytes', (length) => {
    const split = createPacketSplitter(() => expect.fail('a packet'));
    expect(() => split(uint32(length))).toThrow(ProtocolError);
  });

  it('are told from the text of a login script', () => {
    const split = createPacketSplitter(() => expect.fail('a packet'));
    expect(() => split(Buffer.from('Welcome to example!\nand more'))).toThrow(
      'it sent the text "Welcome to example!"',
    );
  });
});

describe('numbers and strings on the wire', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(uint32s, fc.maxSafeNat(), name, (small, large, text) => {
        const reader = new WireReader(Buffer.concat([uint32(small), uint64(large), string(text)]));
        expect([reader.uint32(), reader.uint64(), reader.text(), reader.atEnd]).toEqual([
          small,
          large,
          text,
          true,
        ]);
      }),
    );
  });

  it('are no sizes above what a number holds exactly', () => {
    const bytesOfNumber = Buffer.alloc(8, 0xff);
    expect(() => new WireReader(bytesOfNumber).uint64()).toThrow(ProtocolError);
  });
});
