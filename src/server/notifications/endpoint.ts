import { sleep } from '../../abort.ts';
import { asRegistryError, cannot, type RegistryError } from '../../errors.ts';
import { envelopeOf, envelopeTypes, type Notification } from './envelope.ts';
import type { TextQueue } from './queue.ts';

/** Who is notified, and how. */
export interface NotificationEndpoint {
  /** Unique: also the name of its folder. */
  readonly name: string;
  readonly url: string;
  /** Sent with every request: a name, or several values. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>> | undefined;
  /** Milliseconds for a response. Default: 1,000. */
  readonly timeout?: number | undefined;
  /** Failures in a row after which `backoff` milliseconds pass before each further try. Defaults: 10 and 1,000. */
  readonly threshold?: number | undefined;
  readonly backoff?: number | undefined;
  /** What it is not notified of: an event that any of them names. */
  readonly ignore?: {
    readonly mediaTypes?: readonly string[] | undefined;
    readonly actions?: readonly string[] | undefined;
  };
  /** 1 or 2, of the media type. Default: 2. */
  readonly version?: keyof typeof envelopeTypes | undefined;
}

/** What became of the notifications of one endpoint, since the start. */
export interface EndpointStatus {
  readonly name: string;
  /** Waiting now. */
  readonly pending: number;
  readonly events: number;
  readonly successes: number;
  /** Responses with another status than 2xx or 3xx. */
  readonly failures: number;
  /** Requests without a response. */
  readonly errors: number;
  /** How many responses had which status: `202 Accepted`. */
  readonly statuses: Readonly<Record<string, number>>;
}

/** Delivers what is in a queue, one after the other. */
export interface Delivery {
  notify(notification: Notification): void;
  status(): EndpointStatus;
  /** Ends the request under way, or waits up to `drain` milliseconds until all is delivered; what is left stays in the queue. */
  close(drain: number): Promise<void>;
}

/** Milliseconds before the second try. */
const shortest = 10;

export interface DeliveryOptions {
  readonly fetch: typeof fetch;
  readonly onError: (error: RegistryError) => void;
}

/** Delivers in order, each notification until it is accepted: a status of 2xx or 3xx. */
export function startDelivery(
  endpoint: NotificationEndpoint,
  queue: TextQueue,
  { fetch, onError }: DeliveryOptions,
): Delivery {
  const { threshold = 10, backoff = 1_000, timeout = 1_000, ignore = {}, version = 2, name } = endpoint;
  const headers = headersOf(endpoint, envelopeTypes[version]);
  const stop = new AbortController();
  const counts = { events: 0, successes: 0, failures: 0, errors: 0 };
  const statuses: Record<string, number> = {};
  let failed = 0;
  let working: Promise<void> | undefined;
  let ended: Promise<void> | undefined;

  const fail = (found: string, cause?: unknown): void => {
    failed += 1;
    // Once in a row of failures, and again whenever it is waited for longer.
    if (failed === 1 || failed === threshold)
      onError(cannot('UNAVAILABLE', `notify "${name}"`, found, { value: name, cause }));
  };
  const send = async (text: string): Promise<boolean> => {
    try {
      const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(timeout)]);
      const body = envelopeOf(text);
      const response = await fetch(endpoint.url, { method: 'POST', headers, body, redirect: 'manual', signal });
      await response.body?.cancel();
      const line = `${response.status} ${response.statusText}`.trim();
      if (line in statuses || Object.keys(statuses).length < 100) statuses[line] = (statuses[line] ?? 0) + 1;
      if (response.status >= 200 && response.status < 400) return true;
      counts.failures += 1;
      fail(`status ${line}`);
    } catch (error) {
      if (stop.signal.aborted) return false;
      counts.errors += 1;
      fail(asRegistryError(error, 'UNAVAILABLE', 'send a request').found ?? 'no response', error);
    }
    return false;
  };
  const work = async (): Promise<void> => {
    for (let text = queue.first(); text !== undefined && !stop.signal.aborted; text = queue.first()) {
      if (await send(text)) {
        queue.remove();
        failed = 0;
        counts.successes += 1;
      } else {
        const wait = failed >= threshold ? backoff : Math.min(backoff, shortest * 2 ** failed);
        await sleep(wait, stop.signal).catch(() => {});
      }
    }
  };
  const start = (): void => {
    working ??= work()
      .catch((error: unknown) => onError(asRegistryError(error, 'STORE_ERROR', `read the queue of "${name}"`)))
      .finally(() => {
        working = undefined;
      });
  };
  const end = async (drain: number): Promise<void> => {
    const limit = setTimeout(() => stop.abort(), drain);
    if (drain === 0) stop.abort();
    while (working) await working;
    clearTimeout(limit);
    queue.close();
  };
  start();
  return {
    notify: (notification) => {
      const { mediaTypes = [], actions = [] } = ignore;
      if (actions.includes(notification.action) || mediaTypes.includes(notification.target.mediaType ?? '')) return;
      counts.events += 1;
      if (!queue.add(JSON.stringify(notification)))
        onError(cannot('STORE_ERROR', `notify "${name}"`, 'its queue is full, so an event is lost', { value: name }));
      start();
    },
    status: () => ({ name, pending: queue.length, ...counts, statuses: { ...statuses } }),
    close: (drain) => {
      ended ??= end(drain);
      return ended;
    },
  };
}

function headersOf({ headers = {} }: NotificationEndpoint, type: string): Headers {
  const all = new Headers({ 'content-type': type });
  for (const [name, value] of Object.entries(headers))
    for (const one of typeof value === 'string' ? [value] : value) all.append(name, one);
  return all;
}
