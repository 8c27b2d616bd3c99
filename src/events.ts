import type { Attempt, Skipped } from './endpoint.ts';
import { builtin } from './runtime.ts';

/**
 * What happened, as records. Every exchange is a `request` (a redirect, a token and a retry are one each); every host
 * that was asked is an `attempt`. URLs are redacted; no record holds a secret.
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
      /** Decoded bytes already handed on. */
      readonly offset: number;
      readonly from: string;
      readonly to: string;
      readonly reason: string;
    }
  | {
      readonly type: 'progress';
      readonly digest: string;
      readonly position: number;
      readonly size: number;
      readonly from: string;
    }
  | { readonly type: 'verified'; readonly digest: string; readonly size: number; readonly from: string }
  | {
      /** What becomes of one content of a copy. Between `begun` and `stored` come `progress` and `switch` events. */
      readonly type: 'copy';
      readonly digest: string;
      readonly mediaType: string;
      readonly size: number;
      /**
       * `queued`: it is known to be a part, and waits for its turn. `present`: the store has it, nothing is asked for. `begun`: asked for, from `offset` on, which is not 0 where an
       * earlier time is resumed. `waiting`: another process is at it. `stored`: verified, and under its final name.
       * `skipped`: left out, as it is not distributable.
       */
      readonly state: 'queued' | 'present' | 'begun' | 'waiting' | 'stored' | 'skipped';
      readonly offset: number;
    }
  | ({ readonly type: 'skip' } & Skipped)
  | { readonly type: 'warning'; readonly host?: string; readonly text: string };

export type Emit = (event: ClientEvent) => void;

/**
 * Hands each event to `onEvent` and to the diagnostics channel `ocifetch:<type>`.
 * A listener that throws does not disturb the transfer: its error becomes a warning of the process.
 */
export function createEmit(onEvent?: (event: ClientEvent) => void): Emit {
  const channels = builtin('node:diagnostics_channel');
  return (event) => {
    const channel = channels?.channel(`ocifetch:${event.type}`);
    if (channel?.hasSubscribers) channel.publish(event);
    if (!onEvent) return;
    try {
      onEvent(event);
    } catch (error) {
      globalThis.process?.emitWarning?.(error instanceof Error ? error : String(error));
    }
  };
}
