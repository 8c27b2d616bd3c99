import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { asError } from '../errors.ts';
import { isRefusal } from './connection-error.ts';

/** An attempt to connect that can be given up. */
export interface Connecting {
  destroy(): void;
}

type ConnectedTo<Made> = (error: Error | null, made: Made | null) => void;

/** Connects to one address, its `hostname`; returns the attempt, which can be given up. */
type ConnectTo<Place, Made> = (place: Place, callback: ConnectedTo<Made>) => Connecting;

/** Milliseconds after which the next address is tried, too, while the earlier ones are not given up. RFC 8305 section 5 */
const attemptDelay = 250;

/**
 * Connects to the addresses of a name by turns of their families, each attempt in the time of all: the first connection
 * that is made wins, and a failed one is followed by the next at once. Node itself gives each attempt but the last 250 ms
 * and then ends it, so that a distant host with an address that leads nowhere cannot be reached.
 * https://www.rfc-editor.org/rfc/rfc8305
 */
export const addressesInTurn =
  <Place extends { readonly hostname: string }, Made extends Connecting>(
    connect: ConnectTo<Place, Made>,
    lookup: LookupFunction,
    delay = attemptDelay,
  ) =>
  (place: Place, callback: ConnectedTo<Made>): Connecting => {
    const open = new Set<Connecting>();
    const errors: Error[] = [];
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const destroy = (): void => {
      isOver = true;
      clearTimeout(timer);
      for (const attempt of open) attempt.destroy();
      open.clear();
    };
    const end: ConnectedTo<Made> = (error, made) => {
      destroy();
      callback(error, made);
    };
    const attempt = (address: string, failed: () => void): void => {
      const attempted: { connecting?: Connecting } = {};
      const settle: ConnectedTo<Made> = (error, made) => {
        if (attempted.connecting) open.delete(attempted.connecting);
        if (isOver) made?.destroy();
        else if (made) end(null, made);
        else if (isFinal(error)) end(error, null);
        else {
          errors.push(asError(error));
          failed();
        }
      };
      attempted.connecting = connect({ ...place, hostname: address }, settle);
      open.add(attempted.connecting);
    };
    const next = (rest: readonly string[]): void => {
      clearTimeout(timer);
      const [address, ...others] = rest;
      if (address === undefined) {
        if (open.size === 0) end(combined(errors), null);
        return;
      }
      try {
        attempt(address, () => next(others));
        if (others.length > 0) timer = setTimeout(() => next(others), delay);
      } catch (error) {
        end(asError(error), null);
      }
    };
    if (ipaddr.isValid(place.hostname)) next([place.hostname]);
    else {
      lookup(place.hostname, { all: true }, (error, found) => {
        if (isOver) return;
        if (error) end(error, null);
        else next(byTurns(Array.isArray(found) ? found : []));
      });
    }
    return { destroy };
  };

/** Whether a server responded that another address would not make up for: its certificate is wrong, say. */
function isFinal(error: unknown): error is Error {
  const { code } = (error ?? {}) as { code?: unknown };
  return code !== undefined && code !== 'ECONNRESET' && code !== 'EPIPE' && !isRefusal(code);
}

/** The addresses, of each family in their order, beginning with the first; then one of the other family, and so on. */
export function byTurns(found: readonly LookupAddress[]): readonly string[] {
  const first = found.filter(({ family }) => family === found[0]?.family);
  const others = found.filter(({ family }) => family !== found[0]?.family);
  const turns = Array.from({ length: found.length }, (_, index) => [first[index], others[index]]);
  return turns.flat().flatMap((one) => (one === undefined ? [] : [one.address]));
}

/** One error for all attempts, as Node has it. */
function combined(errors: readonly Error[]): Error {
  const [first] = errors;
  if (first === undefined) return new Error('the name has no address');
  if (errors.length === 1) return first;
  const { code } = first as { readonly code?: unknown };
  return Object.assign(new AggregateError(errors), { code });
}
