import { decodeQR } from 'qr/decode.js';

/** Pixels a module: what a camera sees is not that sharp either. */
const SCALE = 6;

/** The text of a QR code in an SVG that draws stretches of dark modules (`M4 4h7v1h-7z`): as a telephone reads it. */
export function readQrCode(svg: string): string | undefined {
  const size = Number(/viewBox="0 0 (\d+) \1"/.exec(svg)?.[1]) * SCALE;
  const path = /<path fill="#000000" d="([^"]+)"\/>/.exec(svg)?.[1];
  if (path === undefined) return undefined;
  const data = new Uint8ClampedArray(size * size * 4).fill(255);
  for (const [, x, y, width] of path.matchAll(/M(\d+) (\d+)h(\d+)v1h-\3z/g))
    blacken(data, size, { left: Number(x), top: Number(y), width: Number(width) });
  return decodeQR({ width: size, height: size, data });
}

function blacken(
  pixels: Uint8ClampedArray,
  size: number,
  { left, top, width }: { left: number; top: number; width: number },
): void {
  for (let row = top * SCALE; row < (top + 1) * SCALE; row += 1) {
    const start = row * size + left * SCALE;
    for (let pixel = start; pixel < start + width * SCALE; pixel += 1)
      pixels.fill(0, pixel * 4, pixel * 4 + 3);
  }
}
