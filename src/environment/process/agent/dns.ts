import { createSocket } from 'node:dgram';
import type { AgentSettings } from '../protocol.ts';

/** RFC 1035, section 3.2.2, and RFC 2782. */
const TYPE = { A: 1, AAAA: 28, SRV: 33 };
const NAME_ERROR = 3;
const TTL_SECONDS = 1;
/** More would only be noise in a report. */
const STRAYS_KEPT = 1000;

/**
 * Answers on 127.0.0.1:53, where the sandbox's resolv.conf points. Names of the drill are 127.0.0.1; everything else does
 * not exist, which is said at once: a homeserver that looks up SRV records would otherwise wait for a minute. Names that do
 * not exist are remembered: somebody wanted to reach the outside world.
 */
export function startNameServer(settings: NameSettings): { ready: Promise<void>; strays: () => string[] } {
  const strays = new Set<string>();
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    const answered = answerQuery(query, settings);
    if (answered === undefined) return;
    if (answered.stray !== undefined && strays.size < STRAYS_KEPT) strays.add(answered.stray);
    socket.send(answered.reply, from.port, from.address);
  });
  const ready = new Promise<void>((done, reject) => {
    socket.once('error', reject);
    socket.bind(53, '127.0.0.1', () => {
      // A reply that cannot be delivered is the asker's loss.
      socket.off('error', reject).on('error', () => undefined);
      done();
    });
  });
  return { ready, strays: () => [...strays] };
}

/** The reply to one datagram, and the name when it is none of ours; undefined when there is no question in it. */
export function answerQuery(
  query: Buffer,
  settings: NameSettings,
): { reply: Buffer; stray: string | undefined } | undefined {
  const question = readQuestion(query);
  if (question === undefined) return undefined;
  const hostNames = new Set(settings.hostNames.map((name) => name.toLowerCase()));
  const answer = resolve(question, hostNames, settings.srv);
  const known = answer !== undefined || isKnown(question.name, hostNames);
  return { reply: encode(query, question.end, answer, known), stray: known ? undefined : question.name };
}

type NameSettings = Pick<AgentSettings, 'hostNames' | 'srv'>;

interface Question {
  readonly name: string;
  readonly type: number;
  /** Offset behind the question. */
  readonly end: number;
}

interface Resolved {
  readonly type: number;
  readonly data: Buffer;
}

function readQuestion(query: Buffer): Question | undefined {
  if (query.length < 17 || query.readUInt16BE(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    if (length > 63 || at + length + 5 > query.length) return undefined;
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function resolve(
  { name, type }: Question,
  hostNames: ReadonlySet<string>,
  srv: AgentSettings['srv'],
): Resolved | undefined {
  if (type === TYPE.A && hostNames.has(name)) return { type, data: Buffer.from([127, 0, 0, 1]) };
  const known = Object.entries(srv).find(([service]) => service.toLowerCase() === name);
  const service = type === TYPE.SRV ? known?.[1] : undefined;
  if (service === undefined) return undefined;
  const head = Buffer.alloc(6); // priority 0, weight 0, port
  head.writeUInt16BE(service.port, 4);
  return { type, data: Buffer.concat([head, encodeName(service.target)]) };
}

/**
 * Asking our own names for what they do not have (AAAA, or SRV by `_service._tcp.`) is no attempt to leave; asking for a
 * host below them is: push.example.com is not example.com.
 */
function isKnown(name: string, hostNames: ReadonlySet<string>): boolean {
  return hostNames.has(name.replace(/^(?:_[^.]+\.)+/, ''));
}

function encode(query: Buffer, end: number, answer: Resolved | undefined, known: boolean): Buffer {
  const head = Buffer.from(query.subarray(0, end));
  head.writeUInt16BE(0x8580 | (known ? 0 : NAME_ERROR), 2); // response, authoritative, recursion
  head.writeUInt16BE(answer === undefined ? 0 : 1, 6);
  head.writeUInt32BE(0, 8);
  if (answer === undefined) return head;
  const record = Buffer.alloc(12);
  record.writeUInt16BE(0xc00c, 0); // the name stands at offset 12
  record.writeUInt16BE(answer.type, 2);
  record.writeUInt16BE(1, 4); // class IN
  record.writeUInt32BE(TTL_SECONDS, 6);
  record.writeUInt16BE(answer.data.length, 10);
  return Buffer.concat([head, record, answer.data]);
}

function encodeName(name: string): Buffer {
  const labels = name
    .split('.')
    .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}
