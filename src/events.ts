import type { Attempt, Skipped } from './endpoint.ts';
import { isError, messageOf } from './errors.ts';
import { safeRecord } from './redaction.ts';
import { builtin } from './runtime.ts';

/**
 * What happened, as records. Every exchange is a `request`, also for a redirect, a token or a retry; every try of a host
 * is an `attempt`. URLs are redacted; no record has a secret, or characters that a terminal acts on.
 */
export type ClientEvent =
  | {
      readonly type: 'request';
      readonly method: string;
      readonly url: string;
      readonly range?: string;
      readonly status?: number;
      readonly outcome: string;
      /** Milliseconds, to the end of the body. */
      readonly duration: number;
      /** Bytes of the body as sent. */
      readonly bytes: number;
    }
  | ({ readonly type: 'attempt' } & Attempt)
  | { readonly type: 'wait'; readonly url: string; readonly milliseconds: number; readonly reason: string }
  | {
      readonly type: 'switch';
      readonly digest: string;
      /** Decoded bytes that were already delivered. */
      readonly offset: number;
      readonly from: string;
      readonly to: string;
      readonly reason: string;
    }
  | {
      /** `from` has not responded for so long that `to` is requested, too. The first good response counts. Both are API roots. */
      readonly type: 'hedge';
      readonly from: string;
      readonly to: string;
      readonly milliseconds: number;
    }
  | {
      readonly type: 'progress';
      readonly digest: string;
      readonly position: number;
      readonly size: number;
      readonly from: string;
    }
  | {
      /** A content is read over another number of connections than before; `hosts` are those that brought parts of it so far. */
      readonly type: 'split';
      readonly digest: string;
      readonly size: number;
      /** Decoded bytes that were already delivered. */
      readonly position: number;
      readonly connections: number;
      readonly hosts: readonly string[];
    }
  | { readonly type: 'verified'; readonly digest: string; readonly size: number; readonly from: string }
  | {
      /** The state of one content of a copy. Between `begun` and `stored` come `progress` and `switch` events. */
      readonly type: 'copy';
      readonly digest: string;
      readonly mediaType: string;
      readonly size: number;
      /**
       * `queued`: a known part, not yet begun. `present`: the store has it, nothing is requested. `begun`: requested, from
       * `offset` on, which is not 0 if an earlier copy is resumed. `waiting`: another process is copying it. `stored`:
       * verified, and under its final name. `skipped`: left out, because it is not distributable.
       */
      readonly state: 'queued' | 'present' | 'begun' | 'waiting' | 'stored' | 'skipped';
      readonly offset: number;
    }
  | ({ readonly type: 'skip' } & Skipped)
  | { readonly type: 'warning'; readonly host?: string; readonly text: string };

export type Emit = (event: ClientEvent) => void;

/**
 * Hands each event to `onEvent` and to the diagnostics channel `ocifetch:<type>`.
 * An error of a listener, thrown or rejected, does not disturb the transfer: it becomes a warning of the process.
 */
export function createEmit(onEvent?: (event: ClientEvent) => void): Emit {
  const channels = builtin('node:diagnostics_channel');
  return (given) => {
    // Progress is a digest and a host, thousands of times.
    const event = given.type === 'progress' ? given : safeRecord(given);
    const channel = channels?.channel(`ocifetch:${event.type}`);
    if (channel?.hasSubscribers) channel.publish(event);
    if (!onEvent) return;
    try {
      // An `async` one is a function without a result, too.
      const result = onEvent(event) as unknown;
      if (result && typeof (result as Promise<unknown>).then === 'function') {
        void Promise.resolve(result).catch(warn);
      }
    } catch (error) {
      warn(error);
    }
  };
}

/** Not with the error itself: `emitWarning` refuses one of another realm. */
function warn(error: unknown): void {
  const { name = 'Warning', stack } = isError(error) ? error : {};
  globalThis.process?.emitWarning?.(messageOf(error), { type: name, ...(stack !== undefined && { detail: stack }) });
}
