import { signaturesOf, signJson, verifyJson, type Signer } from './signatures.ts';

/** A federation request as it is signed (specification, server-server API, "Request Authentication"). */
export interface SignedRequest {
  readonly method: string;
  /** Path and query, exactly as on the request line. */
  readonly uri: string;
  readonly origin: string;
  readonly destination: string;
  /** Parsed JSON body; absent for requests without one. */
  readonly content?: unknown;
}

export interface XMatrix {
  readonly origin: string;
  /** Absent from servers older than Matrix 1.3. */
  readonly destination?: string | undefined;
  readonly key: string;
  readonly sig: string;
}

/** The value of the Authorization header. */
export function xMatrixHeader(request: Omit<SignedRequest, 'origin'>, signer: Signer): string {
  const signed = signJson({ ...request, origin: signer.name }, signer);
  const parameters = {
    origin: signer.name,
    destination: request.destination,
    key: signer.keyId,
    sig: signaturesOf(signed, signer.name)[signer.keyId]!,
  };
  return `X-Matrix ${Object.entries(parameters)
    .map(([name, value]) => `${name}="${value.replace(/["\\]/g, '\\$&')}"`)
    .join(',')}`;
}

/** Undefined when it is no X-Matrix header, or one without origin, key or sig. Names are case-insensitive, values may be bare tokens. */
export function parseXMatrix(header: string): XMatrix | undefined {
  const scheme = /^x-matrix +/i.exec(header);
  if (scheme === null) return undefined;
  const found: Record<string, string> = {};
  const parameter = /\s*([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]*))\s*(?:,|$)/y;
  parameter.lastIndex = scheme[0].length;
  while (parameter.lastIndex < header.length) {
    const match = parameter.exec(header);
    if (match === null) return undefined;
    found[match[1]!.toLowerCase()] = match[2]?.replace(/\\(.)/g, '$1') ?? match[3]!;
  }
  const { origin, key, sig, destination } = found;
  return origin && key && sig ? { origin, key, sig, destination } : undefined;
}

export function verifyXMatrix(request: SignedRequest, header: XMatrix, publicKey: Uint8Array): boolean {
  if (header.origin !== request.origin) return false;
  if (header.destination !== undefined && header.destination !== request.destination) return false;
  return verifyJson(
    { ...request, signatures: { [header.origin]: { [header.key]: header.sig } } },
    header.origin,
    header.key,
    publicKey,
  );
}
