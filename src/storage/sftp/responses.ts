import { ATTRIBUTE, RESPONSE } from './protocol.ts';
import { ProtocolError, WireReader } from './wire.ts';

/** What a server may answer; each carries the id of its request. */
export type Response =
  | { readonly kind: 'status'; readonly id: number; readonly code: number; readonly message: string }
  | { readonly kind: 'handle'; readonly id: number; readonly handle: Buffer }
  | { readonly kind: 'data'; readonly id: number; readonly data: Buffer }
  | { readonly kind: 'name'; readonly id: number; readonly entries: readonly Entry[] }
  | { readonly kind: 'attributes'; readonly id: number; readonly attributes: Attributes }
  | { readonly kind: 'extended'; readonly id: number; readonly body: Buffer };

/** Fields that the server did not send are undefined. */
export interface Attributes {
  readonly sizeBytes: number | undefined;
  /** Type and permissions as in stat(2). */
  readonly mode: number | undefined;
  /** Seconds since 1970. */
  readonly modifiedS: number | undefined;
}

export interface Entry {
  readonly name: string;
  readonly attributes: Attributes;
}

/** The answer to INIT. Errors: ProtocolError. */
export function decodeVersion(packet: Buffer): { version: number; extensions: ReadonlyMap<string, string> } {
  const reader = new WireReader(packet);
  const type = reader.uint8();
  if (type !== RESPONSE.version) throw new ProtocolError(`packet of type ${type} before the version`);
  const version = reader.uint32();
  const extensions = new Map<string, string>();
  while (!reader.atEnd) extensions.set(reader.text(), reader.text());
  return { version, extensions };
}

/** Errors: ProtocolError for packets that are cut short, of an unknown type or with bytes left over. */
export function decodeResponse(packet: Buffer): Response {
  const reader = new WireReader(packet);
  const type = reader.uint8();
  const response = decodeBody(type, reader.uint32(), reader);
  if (response.kind !== 'status' && !reader.atEnd)
    throw new ProtocolError(`packet of type ${type} has bytes left over`);
  return response;
}

function decodeBody(type: number, id: number, reader: WireReader): Response {
  switch (type) {
    case RESPONSE.status:
      // Message and language came with version 3: some servers still leave them out.
      return { kind: 'status', id, code: reader.uint32(), message: reader.atEnd ? '' : reader.text() };
    case RESPONSE.handle:
      return { kind: 'handle', id, handle: Buffer.from(reader.bytes()) };
    case RESPONSE.data:
      return { kind: 'data', id, data: reader.bytes() };
    case RESPONSE.name:
      return { kind: 'name', id, entries: decodeEntries(reader) };
    case RESPONSE.attributes:
      return { kind: 'attributes', id, attributes: decodeAttributes(reader) };
    case RESPONSE.extended:
      return { kind: 'extended', id, body: reader.rest() };
    default:
      throw new ProtocolError(`packet of unknown type ${type}`);
  }
}

/** The count is not believed: an entry that is not there ends it. */
function decodeEntries(reader: WireReader): Entry[] {
  const count = reader.uint32();
  const entries: Entry[] = [];
  for (let i = 0; i < count; i += 1) {
    const name = reader.text();
    // The same again as a line of `ls -l`, for people.
    reader.bytes();
    entries.push({ name, attributes: decodeAttributes(reader) });
  }
  return entries;
}

function decodeAttributes(reader: WireReader): Attributes {
  const flags = reader.uint32();
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const sizeBytes = has(ATTRIBUTE.size) ? reader.uint64() : undefined;
  if (has(ATTRIBUTE.owner)) {
    reader.uint32();
    reader.uint32();
  }
  const mode = has(ATTRIBUTE.permissions) ? reader.uint32() : undefined;
  const accessed = has(ATTRIBUTE.times) ? reader.uint32() : undefined;
  const modifiedS = accessed === undefined ? undefined : reader.uint32();
  if (has(ATTRIBUTE.extended)) {
    for (let count = reader.uint32(); count > 0; count -= 1) {
      reader.bytes();
      reader.bytes();
    }
  }
  return { sizeBytes, mode, modifiedS };
}
