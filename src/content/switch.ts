import { failedBefore } from '../combine.ts';
import { messageOf, type RegistryError } from '../errors.ts';

import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Fetched } from '../source.ts';

/** An opening that succeeded, and what was there before it. */
export interface Opening {
  readonly emit: Emit;
  readonly target: Pick<Descriptor, 'digest'>;
  readonly fetched: Fetched;
  /** The reading that it goes on with. */
  readonly after?: {
    readonly offset: number;
    readonly from?: string;
    readonly failures: { readonly last: RegistryError | undefined };
  };
}

/** Tells that another host than before serves, or than the first that was asked; once for each opening. */
export function tellSwitch({ emit, target, fetched, after }: Opening): void {
  const to = fetched.from;
  const [failed] = failedBefore(fetched).filter(({ from }) => from !== undefined && from !== to);
  const from = after?.from ?? failed?.from;
  if (from === undefined || from === to) return;
  const error = after?.from === undefined ? failed?.error : after.failures.last;
  const { digest } = target;
  emit({
    type: 'switch',
    digest,
    offset: after?.offset ?? 0,
    from,
    to,
    reason: error === undefined ? '' : messageOf(error),
  });
}
