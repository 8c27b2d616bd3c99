import { abortError, deadline } from '../deadline.ts';
import { type Wrapper, whenEnded } from '../http/transport.ts';

/** Ends every exchange when `signal` fires, also in its body, and refuses those that come after. */
export const endedBy =
  (signal: AbortSignal): Wrapper =>
  (next) =>
  async (request) => {
    if (signal.aborted) throw abortError(signal.reason);
    const limit = deadline(signal, request.signal);
    try {
      return whenEnded(await next({ ...request, signal: limit.signal }), () => limit.end());
    } catch (error) {
      limit.end();
      throw error;
    }
  };
