import jsQR from 'jsqr';

/** Pixels a module: what a camera sees is not that sharp either. */
const SCALE = 6;

/** The text of a QR code in an SVG that draws rows of modules as strokes of width 1 (`M4 4.5h7m1 0h1`): as a telephone reads it. */
export function readQrCode(svg: string): string | undefined {
  const size = Number(/viewBox="0 0 (\d+) \1"/.exec(svg)?.[1]) * SCALE;
  const path = /<path stroke="#000000" d="([^"]+)"\/>/.exec(svg)?.[1];
  if (path === undefined) return undefined;
  const pixels = new Uint8ClampedArray(size * size * 4).fill(255);
  let [x, y] = [0, 0];
  for (const [, command, first, second] of path.matchAll(/([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?/g)) {
    const [right, down] = [Number(first), Number(second ?? 0)];
    if (command === 'M') [x, y] = [right, down];
    else if (command === 'm') [x, y] = [x + right, y + down];
    else {
      blacken(pixels, size, { left: x, top: y - 0.5, width: right });
      x += right;
    }
  }
  return jsQR.default(pixels, size, size)?.data;
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
