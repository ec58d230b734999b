import { randomBytes } from 'node:crypto';
import { crc32, deflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const NOISY_ROWS = 60;

/**
 * A PNG (W3C PNG, third edition) in true colour: a gradient of one hue with a band of noise. The noise makes each picture
 * unique and too irregular to compress to nothing, as photographs are: a row of it takes 3 bytes a pixel.
 */
export function picture(
  width: number,
  height: number,
  hue: number,
  noisyRows = NOISY_ROWS,
): Uint8Array<ArrayBuffer> {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const rows = Array.from({ length: height }, (_, y) =>
    Buffer.concat([
      Buffer.from([0]),
      y < noisyRows ? randomBytes(width * 3) : gradient(width, y / height, hue),
    ]),
  );
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(rows), { level: 1 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function gradient(width: number, brightness: number, hue: number): Buffer {
  const row = Buffer.alloc(width * 3);
  for (let x = 0; x < width; x += 1) {
    const level = 255 * brightness * (x / width);
    for (let channel = 0; channel < 3; channel += 1)
      row[x * 3 + channel] = level * (0.5 + 0.5 * Math.cos(2 * Math.PI * (hue - channel / 3)));
  }
  return row;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}
