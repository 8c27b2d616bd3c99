import { combineErrors } from '../combine.ts';
import { furthestOf, type RegistryError } from '../errors.ts';

/** What broke on the way, however often: the first and the last ones, and the number of those between. */
export interface Failures {
  readonly last: RegistryError | undefined;
  add(error: RegistryError): void;
  /** Those that are remembered, in their order. */
  all(): readonly RegistryError[];
  /** One error that tells of all, the number of those forgotten, too. */
  combined(attempted: string, value?: string): RegistryError;
}

/** Remembers `most` failures at each end, and of those between the one that got furthest, if it got further than all others. */
export function createFailures(most = 5): Failures {
  const first: RegistryError[] = [];
  const latest: RegistryError[] = [];
  let between: RegistryError | undefined;
  let forgotten = 0;
  const all = (): RegistryError[] => {
    const isFurthest = between !== undefined && furthestOf([...first, ...latest, between]) === between;
    return [...first, ...(isFurthest && between ? [between] : []), ...latest];
  };
  return {
    get last() {
      return latest.at(-1) ?? first.at(-1);
    },
    add: (error) => {
      if (first.length < most) {
        first.push(error);
        return;
      }
      latest.push(error);
      if (latest.length <= most) return;
      const [dropped] = latest.splice(0, 1);
      forgotten += 1;
      if (dropped) between = between ? furthestOf([between, dropped]) : dropped;
    },
    all,
    combined: (attempted, value) =>
      combineErrors(attempted, all(), { value, leftOut: forgotten > 0 ? `; and ${forgotten} more failures` : '' }),
  };
}
