import { redactUrl } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { type HttpRequest, type HttpResponse, type Wrapper, whenEnded } from '../http/transport.ts';

/** Reports every exchange as a `request` event when its body has ended. */
export const log =
  (emit: Emit): Wrapper =>
  (next) =>
  async (request) => {
    const started = performance.now();
    const report = (outcome: string, bytes: number, status?: number): void =>
      emit(record(request, started, outcome, bytes, status));
    let response: HttpResponse;
    try {
      response = await next(request);
    } catch (error) {
      report(outcomeOf(error), 0);
      throw error;
    }
    return whenEnded(response, ({ bytes, error }) => report(outcomeOf(error), bytes, response.status));
  };

function outcomeOf(error: unknown): string {
  if (error === undefined) return 'ok';
  return error instanceof RegistryError ? error.code : 'UNAVAILABLE';
}

function record(request: HttpRequest, started: number, outcome: string, bytes: number, status: number | undefined) {
  const range = request.headers?.range;
  return {
    type: 'request' as const,
    method: request.method,
    url: redactUrl(request.url),
    ...(range !== undefined && { range }),
    ...(status !== undefined && { status }),
    outcome,
    duration: performance.now() - started,
    bytes,
  };
}
