import { withAttemptsOf } from '../combine.ts';
import { abortError, deadline } from '../deadline.ts';
import type { CallOptions } from '../source.ts';

/**
 * One piece of work that ends with any of the signals, or after `operation` milliseconds with `TIMEOUT`. What ends it so
 * tells the attempts made until then.
 */
export async function during<T>(
  attempted: string,
  signals: readonly (AbortSignal | undefined)[],
  operation: number | undefined,
  work: (call: CallOptions) => Promise<T>,
): Promise<T> {
  const limit = deadline(...signals);
  try {
    limit.signal.throwIfAborted();
    if (operation !== undefined) limit.limit(operation, attempted);
    return await work({ signal: limit.signal });
  } catch (error) {
    if (limit.signal.aborted) throw withAttemptsOf(abortError(limit.signal.reason), [error]);
    throw error;
  } finally {
    limit.end();
  }
}
