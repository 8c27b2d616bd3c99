import { abortError } from './deadline.ts';
import { type HttpResponse, type Wrapper, whenEnded } from './transport.ts';

interface Gate {
  open: number;
  readonly waiting: (() => void)[];
}

/**
 * At most `concurrency` exchanges with an origin at a time, from the request to the end of the body; the others wait in
 * line. A wait ends with `ABORTED` when its signal fires.
 */
export const limits = ({ concurrency = 8 }: { concurrency?: number | undefined } = {}): Wrapper => {
  const gates = new Map<string, Gate>();
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
    if (gate.open < concurrency) gate.open += 1;
    else await turn(gate, request.signal);
    let response: HttpResponse;
    try {
      response = await next(request);
    } catch (error) {
      leave(origin, gate);
      throw error;
    }
    return whenEnded(response, () => leave(origin, gate));
  };
};

function turn(gate: Gate, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortError(signal.reason));
      return;
    }
    const enter = (): void => {
      signal?.removeEventListener('abort', stop);
      resolve();
    };
    const stop = (): void => {
      gate.waiting.splice(gate.waiting.indexOf(enter), 1);
      reject(abortError(signal?.reason));
    };
    gate.waiting.push(enter);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
