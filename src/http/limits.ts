import { abortError, longestTimer, onAbort, sleep } from '../abort.ts';
import { remember } from '../bounded-map.ts';
import { redactUrl } from '../endpoint.ts';
import { cannot } from '../errors.ts';
import type { Emit } from '../events.ts';
import { type HttpRequest, type HttpResponse, type Wrapper, whenEnded } from './transport.ts';

export interface LimitsOptions {
  /** Exchanges with an origin at a time. Default: 8, or as many as the `oneOfMany` of the next request says. */
  readonly concurrency?: number | undefined;
  /** Milliseconds that a request waits for exchanges whose bodies nobody reads. */
  readonly unread?: number | undefined;
  readonly emit?: Emit | undefined;
}

/** An exchange that others wait for. */
interface Exchange {
  readonly request: HttpRequest;
  /** `performance.now()` when its body was last read. Until there is a body, now: the transport has limits for that. */
  lastRead: () => number;
}

/** A request that waits for its turn. */
interface Waiting {
  /** Exchanges that may be open besides. */
  readonly most: number;
  enter(): void;
}

interface Gate {
  open: number;
  readonly exchanges: Set<Exchange>;
  readonly waiting: Waiting[];
  /** Whether a warning was emitted since an exchange ended. */
  isReported: boolean;
}

/** Exchanges with an origin at a time if nothing else is set. */
const mostExchanges = 8;

/** Milliseconds after which a wait for bodies that nobody reads is reported. */
const reportAfter = 5_000;

/**
 * At most `concurrency` exchanges with an origin at a time, from the request to the end of the body; others wait in line.
 * An endpoint may lower that and limit requests per second. A wait ends with `ABORTED` when its signal fires, and with
 * `TIMEOUT` if nobody has read the bodies of those exchanges for a minute: they would never end. A warning comes before.
 */
export const limits = ({ concurrency, unread = 60_000, emit = () => {} }: LimitsOptions = {}): Wrapper => {
  const gates = new Map<string, Gate>();
  /** `performance.now()` from which the next request may be sent, by origin. */
  const starts = new Map<string, number>();
  const leave = (origin: string, gate: Gate, exchange: Exchange): void => {
    gate.exchanges.delete(exchange);
    gate.isReported = false;
    gate.open -= 1;
    admit(gate);
    if (gate.open === 0) gates.delete(origin);
  };
  return (next) => async (request) => {
    const { origin } = new URL(request.url);
    const gate = gates.get(origin) ?? { open: 0, exchanges: new Set(), waiting: [], isReported: false };
    gates.set(origin, gate);
    const { requestsPerSecond, concurrency: own = Infinity } = request.endpoint ?? {};
    const most = Math.min(concurrency ?? request.oneOfMany ?? mostExchanges, own);
    if (gate.waiting.length === 0 && gate.open < most) gate.open += 1;
    else await turn(gate, request, { most, unread, emit });
    const exchange: Exchange = { request, lastRead: () => performance.now() };
    gate.exchanges.add(exchange);
    let response: HttpResponse;
    try {
      if (requestsPerSecond !== undefined) await pace(starts, origin, 1000 / requestsPerSecond, request.signal);
      response = await next(request);
    } catch (error) {
      leave(origin, gate, exchange);
      throw error;
    }
    const watched = whenEnded(response, () => leave(origin, gate, exchange));
    exchange.lastRead = watched.lastRead ?? exchange.lastRead;
    return watched;
  };
};

/** Lets those enter who may, in the order in which they came. */
function admit(gate: Gate): void {
  for (let next = gate.waiting[0]; next && gate.open < next.most; next = gate.waiting[0]) {
    gate.waiting.shift();
    gate.open += 1;
    next.enter();
  }
}

async function pace(starts: Map<string, number>, origin: string, every: number, signal?: AbortSignal): Promise<void> {
  const now = performance.now();
  const start = Math.max(now, starts.get(origin) ?? now);
  remember(starts, origin, start + every);
  if (start > now) await sleep(start - now, signal);
}

function turn(
  gate: Gate,
  { url, signal }: HttpRequest,
  { most, unread, emit }: { readonly most: number; readonly unread: number; readonly emit: Emit },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const arrived = performance.now();
    const { host } = new URL(url);
    const leave = (): void => {
      clearTimeout(timer);
      release();
    };
    const enter = (): void => {
      leave();
      resolve();
    };
    const waiting: Waiting = { most, enter };
    const fail = (error: unknown): void => {
      leave();
      gate.waiting.splice(gate.waiting.indexOf(waiting), 1);
      admit(gate);
      reject(error);
    };
    const look = (): void => {
      const lastRead = Math.max(arrived, ...[...gate.exchanges].map((exchange) => exchange.lastRead()));
      const silence = performance.now() - lastRead;
      if (silence >= unread) {
        const found = `for ${unread} ms nobody read the bodies that it waits for: ${namesOf(gate)}`;
        fail(
          cannot('TIMEOUT', `request "${redactUrl(url)}"`, found, { host, reason: 'unread', limit: 'timeouts.unread' }),
        );
        return;
      }
      if (silence >= reportAfter && !gate.isReported) {
        gate.isReported = true;
        emit({ type: 'warning', host, text: `requests wait for bodies that nobody reads: ${namesOf(gate)}` });
      }
      plan(silence < reportAfter ? Math.min(reportAfter, unread) - silence : unread - silence);
    };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const plan = (milliseconds: number): void => {
      timer = setTimeout(look, Math.min(Math.ceil(milliseconds), longestTimer));
    };
    plan(Math.min(reportAfter, unread));
    gate.waiting.push(waiting);
    let release = (): void => {};
    release = onAbort(signal, (reason) => fail(abortError(reason)));
  });
}

/** What is waited for, in words. */
function namesOf({ exchanges }: Gate): string {
  const names = [...exchanges].map(({ request }) => `${request.method} "${redactUrl(request.url)}"`);
  const left = names.length - 8;
  return `${names.slice(0, 8).join(', ')}${left > 0 ? `, and ${left} more` : ''}`;
}
