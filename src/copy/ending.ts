import { withAttemptsOf } from '../combine.ts';
import { abortError, type Deadline } from '../deadline.ts';
import { asRegistryError, RegistryError } from '../errors.ts';
import { quote } from '../oci/quote.ts';
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
  const doing = `Cannot copy ${quote(label)}`;
  const cause = asRegistryError(thrown, 'STORE_ERROR', 'Cannot use the store');
  const isTold = cause.message.startsWith(doing) || cause.message.startsWith('Cannot choose ');
  if (isTold || cause.code === 'ABORTED') return cause;
  const { code, message, status, registryErrors, host, attempts } = cause;
  const which = part ? `${part.role} "${part.descriptor.digest}": ` : '';
  const again = part ? new RegExp(`^Cannot [a-z]+ "${part.descriptor.digest}": `) : /^$/;
  const told = `${doing}: ${which}${message.replace(again, '')}`;
  return new RegistryError(code, told, { status, registryErrors, host, attempts, cause });
}
