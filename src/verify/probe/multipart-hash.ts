import { createHash } from 'node:crypto';
import { LifeboatError } from '../../core/errors.ts';

/** The media part of an answer, hashed on the way: memory does not grow with the file. */
export interface HashedPart {
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** Boundaries and part headers are short; more than this before the content is no answer of a homeserver. */
const MAX_HEAD_BYTES = 64 * 1024;

/**
 * Reads multipart/mixed as `GET /_matrix/federation/v1/media/download` answers (specification, server-server API, "Content
 * Repository"): a JSON part, then the file. Errors: `drill-failed` when the form is another, or the end is missing.
 */
export async function hashLastPart(
  contentType: string,
  body: AsyncIterable<Buffer>,
  onBytes: (total: number) => void = () => {},
): Promise<HashedPart> {
  const boundary = /^multipart\/mixed\s*;.*\bboundary="?([^";]+)"?/i.exec(contentType)?.[1];
  if (boundary === undefined)
    throw new LifeboatError(
      'drill-failed',
      `the answer is ${contentType || 'of no type'}, not multipart/mixed`,
    );
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const hash = createHash('sha256');
  let inContent = false;
  let sizeBytes = 0;
  let held = Buffer.alloc(0);
  let ended = false;
  for await (const chunk of body) {
    if (ended) continue;
    held = Buffer.concat([held, chunk]);
    if (!inContent) {
      const start = contentStart(held, boundary);
      if (start === undefined) {
        if (held.length > MAX_HEAD_BYTES)
          throw new LifeboatError('drill-failed', 'the answer has no second part');
        continue;
      }
      held = held.subarray(start);
      inContent = true;
    }
    const end = held.indexOf(delimiter);
    ended = end !== -1;
    // The delimiter may be cut by the end of a chunk: so much is kept back.
    const content = held.subarray(0, ended ? end : Math.max(0, held.length - delimiter.length));
    hash.update(content);
    sizeBytes += content.length;
    held = held.subarray(content.length);
    onBytes(sizeBytes);
  }
  if (!ended)
    throw new LifeboatError('drill-failed', `the answer ended after ${sizeBytes} bytes of the file`);
  return { sizeBytes, sha256: hash.digest('hex') };
}

/** Where the content of the second part begins; undefined as long as its headers are not complete. */
function contentStart(held: Buffer, boundary: string): number | undefined {
  const first = held.indexOf(`--${boundary}`);
  const second = first === -1 ? -1 : held.indexOf(`\r\n--${boundary}\r\n`, first);
  if (second === -1) return undefined;
  const lineEnd = held.indexOf('\r\n', second + 2);
  const headersEnd = held.indexOf('\r\n\r\n', lineEnd);
  if (headersEnd === -1) return undefined;
  if (/^location:/im.test(held.subarray(lineEnd, headersEnd).toString('latin1')))
    throw new LifeboatError('drill-failed', 'the answer points to another place instead of holding the file');
  return headersEnd + 4;
}
