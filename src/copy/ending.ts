import { abortError, type Deadline } from '../abort.ts';
import { asRegistryError, messageOf, type RegistryError, restate, withAttemptsOf } from '../errors.ts';
import { quote } from '../text/quote.ts';
import type { Part } from './walk.ts';

export interface Ending {
  /** Those of the user, whose firing is no failure of a content. */
  readonly signals: readonly (AbortSignal | undefined)[];
  readonly label: string;
  /** In the order in which they came. */
  readonly failures: RegistryError[];
}

/** Runs what is done for one content. Its failure, told as the copy's, ends the copy. */
export function ending(limit: Deadline, { label, signals, failures }: Ending) {
  return async <T>(part: Part | undefined, run: () => Promise<T>): Promise<T> => {
    try {
      limit.signal.throwIfAborted();
      return await run();
    } catch (thrown) {
      const ended = signals.find((signal) => signal?.aborted);
      const error = ended ? withAttemptsOf(abortError(ended.reason), [thrown]) : failureOf(thrown, label, part);
      failures.push(error);
      limit.cancel(error);
      throw error;
    }
  };
}

/** `Cannot copy "app": layer 3 of 40 "sha256:…": …`, with all that the failure told. */
function failureOf(thrown: unknown, label: string, part: Part | undefined): RegistryError {
  const attempted = `copy ${quote(label)}`;
  const cause = asRegistryError(thrown, 'STORE_ERROR', 'use the store');
  if (cause.attempted === attempted || cause.reason === 'platform' || cause.code === 'ABORTED') return cause;
  const which = part ? `${part.role} "${part.descriptor.digest}": ` : '';
  const isOfPart = part !== undefined && cause.value === part.descriptor.digest;
  const told = isOfPart ? (cause.found ?? '') : messageOf(cause);
  return restate(cause, { attempted, found: which + told, cause });
}
