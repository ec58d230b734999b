/**
 * What lifeboat says to the agent inside the sandbox, one JSON object a line on its standard input, and what it answers on
 * its standard output. The agent imports nothing but this and node: built-ins, because nothing else is inside.
 */
export type Request =
  | ({ readonly op: 'exec'; readonly timeoutMs: number | undefined } & Command)
  | StartRequest
  | { readonly op: 'stop'; readonly name: string; readonly graceMs: number }
  | { readonly op: 'listen'; readonly port: number; readonly socket: string }
  | { readonly op: 'escape'; readonly targets: readonly EscapeTarget[] }
  | { readonly op: 'packets' }
  | { readonly op: 'attempts' }
  | { readonly op: 'lookups' };

export type StartRequest = { readonly op: 'start'; readonly name: string; readonly log: string } & Command;

export interface Command {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface EscapeTarget {
  readonly how: 'tcp' | 'udp' | 'dns' | 'route' | 'file' | 'socket';
  readonly to: string;
  readonly port: number;
}

export type Answer =
  { readonly id: number; readonly result: unknown } | { readonly id: number; readonly error: string };
export type Event =
  { readonly event: 'ready' } | { readonly event: 'exit'; readonly name: string; readonly exitCode: number };

/** Given to the agent as its only argument, JSON. */
export interface AgentSettings {
  /** Unix socket on which connections from outside arrive; their first line is `CONNECT <port>`. */
  readonly gate: string;
  /** Names that resolve to 127.0.0.1. */
  readonly hostNames: readonly string[];
  /** `_matrix-fed._tcp.example.com` -> where it points. */
  readonly srv: Readonly<Record<string, { readonly target: string; readonly port: number }>>;
}
