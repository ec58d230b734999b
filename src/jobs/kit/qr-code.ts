import { Markup } from '../../verify/report/index.ts';

/**
 * A QR code (ISO/IEC 18004) as an SVG of its own. Level Q: a quarter of it may be creased or stained. Capitals, digits and `-`,
 * of which an age identity consists, take the dense alphanumeric mode.
 */
export async function qrCode(text: string): Promise<Markup> {
  const { default: encoder } = await import('qrcode');
  return new Markup(await encoder.toString(text, { type: 'svg', errorCorrectionLevel: 'Q', margin: 4 }));
}
