import { Markup } from '../../verify/report/index.ts';

/** Modules of quiet zone, ISO/IEC 18004. */
const BORDER = 4;

/**
 * A QR code (ISO/IEC 18004) as an SVG of its own. Level Q: a quarter of it may be creased or stained. Capitals, digits and `-`,
 * of which an age identity consists, take the dense alphanumeric mode.
 */
export async function qrCode(text: string): Promise<Markup> {
  const { encodeQR } = await import('qr');
  const rows = encodeQR(text, 'raw', { ecc: 'quartile', border: BORDER });
  const size = rows.length;
  const dark = rows.flatMap((row, y) => runsOf(row).map(([x, width]) => `M${x} ${y}h${width}v1h-${width}z`));
  return new Markup(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges">` +
      `<path fill="#ffffff" d="M0 0h${size}v${size}H0z"/><path fill="#000000" d="${dark.join('')}"/></svg>`,
  );
}

/** Start and length of each stretch of dark modules. */
function runsOf(row: readonly boolean[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const [x, dark] of row.entries()) {
    const last = runs.at(-1);
    if (dark && last !== undefined && last[0] + last[1] === x) last[1] += 1;
    else if (dark) runs.push([x, 1]);
  }
  return runs;
}
