import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What happens to one request on its way. */
export type Fault =
  /** An answer of the proxy's own; the server hears nothing. */
  | { readonly answer: number; readonly name: string; readonly headers?: Readonly<Record<string, string>> }
  /** The connection ends before the server hears anything. */
  | 'reset'
  /** Nothing ever happens. */
  | 'stall'
  /** The server does it, and its answer is lost. */
  | 'lose the answer'
  /** The answer ends, or stops, half-way. */
  | 'cut the answer'
  | 'stall the answer'
  /** The request arrives without this header. */
  | { readonly without: string }
  | { readonly edit: (body: Buffer) => Buffer };

export interface Asked {
  readonly method: string;
  /** With its query. */
  readonly path: string;
}

export interface FaultProxy extends AsyncDisposable {
  readonly endpoint: string;
  /** Whatever comes from now on; the same decision for the same request is up to the caller. */
  plan(fault: (asked: Asked) => Fault | undefined): void;
  /** Faults that were met, in order: a plan that was never hit proves nothing. */
  readonly hits: Asked[];
}

/** Between a client and an S3 server without TLS; signatures stay valid, because the Host header does. */
export async function startFaultProxy(port: number): Promise<FaultProxy> {
  let plan: (asked: Asked) => Fault | undefined = () => undefined;
  const hits: Asked[] = [];
  const server = createServer((incoming, outgoing) => {
    const asked = { method: incoming.method ?? '', path: decodeURIComponent(incoming.url ?? '') };
    const fault = plan(asked);
    if (fault !== undefined) hits.push(asked);
    void pass(port, incoming, outgoing, fault).catch(() => outgoing.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hits,
    plan: (fault) => {
      plan = fault;
      hits.length = 0;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function pass(
  port: number,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  fault: Fault | undefined,
): Promise<void> {
  if (fault === 'reset') return void incoming.socket.resetAndDestroy();
  const body = await read(incoming);
  if (fault === 'stall') return;
  if (typeof fault === 'object' && 'answer' in fault) {
    const xml = `<?xml version="1.0"?><Error><Code>${fault.name}</Code><Message>planned</Message></Error>`;
    outgoing.writeHead(fault.answer, { 'content-type': 'application/xml', ...fault.headers });
    return void outgoing.end(incoming.method === 'HEAD' ? undefined : xml);
  }
  const headers = { ...incoming.headers };
  if (typeof fault === 'object' && 'without' in fault) delete headers[fault.without];
  const { method, url } = incoming;
  const forwarded = request({ host: '127.0.0.1', port, method, path: url, headers, agent: false }).end(body);
  const [answer] = (await once(forwarded, 'response')) as [IncomingMessage];
  const received = await read(answer);
  if (fault === 'lose the answer') return void incoming.socket.destroy();
  const edited = typeof fault === 'object' && 'edit' in fault ? fault.edit(received) : received;
  const length = method === 'HEAD' ? {} : { 'content-length': String(edited.length) };
  const { 'transfer-encoding': _, ...kept } = answer.headers;
  outgoing.writeHead(answer.statusCode ?? 500, { ...kept, ...length });
  if (fault !== 'cut the answer' && fault !== 'stall the answer') return void outgoing.end(edited);
  outgoing.write(edited.subarray(0, edited.length >> 1));
  if (fault === 'cut the answer') setImmediate(() => incoming.socket.destroy());
}

async function read(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
