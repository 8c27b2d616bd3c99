import { abortError, onAbort, sleep } from '../abort.ts';
import { remember } from './bounded-map.ts';
import { type HttpResponse, type Wrapper, whenEnded } from './transport.ts';

interface Gate {
  open: number;
  readonly waiting: (() => void)[];
}

/**
 * At most `concurrency` exchanges with an origin at a time, from the request to the end of the body; others wait in line.
 * An endpoint may lower that and limit requests per second. A wait ends with `ABORTED` when its signal fires.
 */
export const limits = ({ concurrency = 8 }: { concurrency?: number | undefined } = {}): Wrapper => {
  const gates = new Map<string, Gate>();
  /** `performance.now()` from which the next request may be sent, by origin. */
  const starts = new Map<string, number>();
  const leave = (origin: string, gate: Gate): void => {
    const next = gate.waiting.shift();
    if (next) next();
    else gate.open -= 1;
    if (gate.open === 0) gates.delete(origin);
  };
  return (next) => async (request) => {
    const { origin } = new URL(request.url);
    const gate = gates.get(origin) ?? { open: 0, waiting: [] };
    gates.set(origin, gate);
    const { requestsPerSecond, concurrency: own = concurrency } = request.endpoint ?? {};
    if (gate.open < Math.min(concurrency, own)) gate.open += 1;
    else await turn(gate, request.signal);
    let response: HttpResponse;
    try {
      if (requestsPerSecond !== undefined) await pace(starts, origin, 1000 / requestsPerSecond, request.signal);
      response = await next(request);
    } catch (error) {
      leave(origin, gate);
      throw error;
    }
    return whenEnded(response, () => leave(origin, gate));
  };
};

async function pace(starts: Map<string, number>, origin: string, every: number, signal?: AbortSignal): Promise<void> {
  const now = performance.now();
  const start = Math.max(now, starts.get(origin) ?? now);
  remember(starts, origin, start + every);
  if (start > now) await sleep(start - now, signal);
}

function turn(gate: Gate, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const enter = (): void => {
      release();
      resolve();
    };
    gate.waiting.push(enter);
    const release = onAbort(signal, (reason) => {
      gate.waiting.splice(gate.waiting.indexOf(enter), 1);
      reject(abortError(reason));
    });
  });
}
