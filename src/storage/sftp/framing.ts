import { LONGEST_PACKET } from './protocol.ts';
import { ProtocolError } from './wire.ts';

/**
 * Cuts a stream of bytes into packets, whatever pieces it comes in. A packet is handed on without its length.
 * Errors: ProtocolError for a length that no server sends, which is what text printed by a login script looks like.
 */
export function createPacketSplitter(onPacket: (packet: Buffer) => void): (piece: Buffer) => void {
  let pieces: Buffer[] = [];
  let held = 0;
  let wanted = 4;
  return (piece) => {
    pieces.push(piece);
    held += piece.length;
    if (held < wanted) return;
    let bytes = pieces.length === 1 ? piece : Buffer.concat(pieces, held);
    while (bytes.length >= 4) {
      const length = bytes.readUInt32BE();
      if (length === 0 || length > LONGEST_PACKET) throw impossibleLength(length, bytes);
      wanted = 4 + length;
      if (bytes.length < wanted) break;
      onPacket(bytes.subarray(4, wanted));
      bytes = bytes.subarray(wanted);
      wanted = 4;
    }
    pieces = bytes.length === 0 ? [] : [bytes];
    held = bytes.length;
  };
}

function impossibleLength(length: number, bytes: Buffer): ProtocolError {
  const start = bytes.subarray(0, 80).toString('latin1').split('\n')[0] ?? '';
  const isText = /^[\t\r\x20-\x7e]{4,}$/.test(start);
  return new ProtocolError(
    isText ? `it sent the text ${JSON.stringify(start)}` : `packet of ${length} bytes`,
  );
}
