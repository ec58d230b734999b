import { setTimeout as sleep } from 'node:timers/promises';
import { LifeboatError, messageOf } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';

/** Synapse's admin API, as a server admin (its docs/admin_api). Errors: `maintenance-failed`. */
export interface SynapseAdmin {
  /** Files of cached remote media that were removed: not asked for since that moment (ms since the epoch). */
  purgeMediaCache(beforeMs: number): Promise<number>;
  /** Resolves when it is done; `nothing` when the room has no event before that moment. */
  purgeHistory(room: string, beforeMs: number, deleteLocalEvents: boolean): Promise<'purged' | 'nothing'>;
}

const REQUEST_TIMEOUT_MS = 10 * 60_000;
const POLL_MS = 500;

export function synapseAdmin(url: string, token: Secret, signal?: AbortSignal): SynapseAdmin {
  const call = async (method: 'GET' | 'POST', path: string, body?: unknown): Promise<Response> => {
    const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    try {
      return await fetch(new URL(`/_synapse/admin/v1/${path}`, url), {
        method,
        headers: { authorization: `Bearer ${token.reveal()}`, 'content-type': 'application/json' },
        ...(method === 'POST' ? { body: JSON.stringify(body ?? {}) } : {}),
        redirect: 'error',
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
    } catch (error) {
      const cause = messageOf((error as Error).cause ?? error);
      throw new LifeboatError('maintenance-failed', `the homeserver at ${url} cannot be asked: ${cause}`, {
        hint: 'Check maintenance.homeserver_url, and that the homeserver runs.',
        cause: error,
      });
    }
  };
  const answer = async <Answer>(what: string, response: Response): Promise<Answer> => {
    const said = (await response.json().catch(() => ({}))) as Answer & { errcode?: string; error?: string };
    if (response.ok) return said;
    throw new LifeboatError(
      'maintenance-failed',
      `the homeserver refused ${what}: ${response.status} ${said.errcode ?? ''} ${said.error ?? ''}`.trim(),
      { hint: 'The token must be that of a server admin (maintenance.admin_token).' },
    );
  };
  return {
    purgeMediaCache: async (beforeMs) => {
      const response = await call('POST', `purge_media_cache?before_ts=${Math.round(beforeMs)}`);
      return (await answer<{ deleted: number }>('to purge the media cache', response)).deleted;
    },
    purgeHistory: async (room, beforeMs, deleteLocalEvents) => {
      const what = `to purge the history of ${room}`;
      const response = await call('POST', `purge_history/${encodeURIComponent(room)}`, {
        purge_up_to_ts: Math.round(beforeMs),
        delete_local_events: deleteLocalEvents,
      });
      // "there is no event to be purged" (Synapse, rest/admin/__init__.py).
      if (response.status === 404) {
        const { error = '' } = (await response
          .clone()
          .json()
          .catch(() => ({}))) as { error?: string };
        if (error.includes('no event to be purged')) return 'nothing';
      }
      const { purge_id: id } = await answer<{ purge_id: string }>(what, response);
      for (;;) {
        const status = await answer<{ status: string; error?: string }>(
          what,
          await call('GET', `purge_history_status/${encodeURIComponent(id)}`),
        );
        if (status.status === 'complete') return 'purged';
        if (status.status === 'failed')
          throw new LifeboatError(
            'maintenance-failed',
            `purging the history of ${room} failed: ${status.error ?? 'no reason given'}`,
            {
              hint: 'The log of the homeserver says more. Events that are purged already stay so.',
            },
          );
        await sleep(POLL_MS, undefined, signal === undefined ? {} : { signal });
      }
    },
  };
}
