import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { LifeboatError } from '../../core/errors.ts';
import { formatDuration } from '../../core/units.ts';
import { asObject, type JsonObject } from '../events/json.ts';

/** Opens a connection. What it has opened when the signal comes, it must close. */
export type Connect = (signal: AbortSignal) => Promise<Duplex>;

/** One HTTP request on a connection of its own: the transport may be a tunnel into a sandbox, so nothing is pooled. */
export interface HttpRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly timeoutMs: number;
}

export interface JsonResponse {
  readonly status: number;
  /** Empty when the answer is no JSON object. */
  readonly json: JsonObject;
}

/** Much more than a canary room's state or a page of messages takes. */
const MAX_JSON_BYTES = 16 * 1024 * 1024;

/** The whole answer. Errors: `drill-failed` when it does not come in time, is cut or too long. */
export async function requestJson(connect: Connect, request: HttpRequest): Promise<JsonResponse> {
  return await within(request.timeoutMs, `${request.method} ${request.path}`, async (signal) => {
    const response = await openResponse(connect, request, signal);
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_JSON_BYTES)
        throw new LifeboatError(
          'drill-failed',
          `${request.method} ${request.path}: the answer is longer than ${MAX_JSON_BYTES} bytes`,
        );
    }
    return { status: response.statusCode ?? 0, json: parseObject(Buffer.concat(chunks).toString('utf8')) };
  });
}

/** Resolves with the head of the answer; the body streams. An abort destroys the connection. */
export async function openResponse(
  connect: Connect,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const socket = await connect(signal);
  if (signal.aborted) socket.destroy();
  signal.throwIfAborted();
  const body = request.json === undefined ? undefined : JSON.stringify(request.json);
  return await new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      method: request.method,
      path: request.path,
      headers: {
        ...request.headers,
        connection: 'close',
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
      createConnection: () => socket,
      signal,
    });
    // A tunnel hands its connections over paused.
    outgoing.on('socket', () => socket.resume());
    outgoing.on('response', resolve).on('error', (cause) => {
      reject(
        new LifeboatError('drill-failed', `${request.method} ${request.path}: ${cause.message}`, { cause }),
      );
    });
    outgoing.end(body);
  });
}

/** Gives up after `timeoutMs`, whatever the work is waiting for: nothing in a drill may hang. */
export async function within<T>(
  timeoutMs: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new LifeboatError('drill-failed', `${what}: no answer within ${formatDuration(timeoutMs)}`));
      controller.abort();
    }, timeoutMs);
  });
  try {
    return await Promise.race([work(controller.signal), late]);
  } finally {
    clearTimeout(timer);
    controller.abort();
  }
}

function parseObject(text: string): JsonObject {
  try {
    return asObject(JSON.parse(text)) ?? {};
  } catch {
    return {};
  }
}
