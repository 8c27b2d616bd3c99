import { remember } from '../bounded-map.ts';
import { type ErrorCode, messageOf, RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { CallOptions, Source, Store } from '../source.ts';

/** The code of a warning that a response is stale. https://www.rfc-editor.org/rfc/rfc7234#section-5.5.1 */
export const stale = 110;
/** Errors of an origin that cannot be reached for now. */
const unreachable: ReadonlySet<ErrorCode> = new Set(['UNAVAILABLE', 'TIMEOUT', 'RATE_LIMITED']);
/** Tags that are remembered until their content is in the store. */
const mostTags = 1_000;

/** What tags stand on, besides the origin and the store. */
interface TagParts {
  /** Names of content, given to it as soon as the store has it. */
  readonly waiting: Map<string, Descriptor>;
  /** Undefined if the store has nothing, or fails. */
  fromStore<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T | undefined>;
}

/** Tags, as the origin has them; as the store has them if it cannot be reached. */
export function cachedTags(origin: Source, store: Store, { waiting, fromStore }: TagParts) {
  const give = async (target: Descriptor, name: string): Promise<void> => {
    const known = await store.resolve(name).catch(() => undefined);
    if (known?.digest !== target.digest) await store.tag(target, name);
  };
  /** Gives the name at once if the store has the content; otherwise remembers it. */
  const note = async (target: Descriptor, name: string): Promise<void> => {
    remember(waiting, name, target, mostTags);
    await give(target, name);
    waiting.delete(name);
  };
  return {
    resolve: async (reference: string, options: CallOptions): Promise<Descriptor> => {
      const { signal, links } = options;
      try {
        const descriptor = await origin.resolve(reference, options);
        await fromStore(signal, () => note(descriptor, reference));
        return descriptor;
      } catch (error) {
        if (!(error instanceof RegistryError) || !unreachable.has(error.code)) throw error;
        const known = await fromStore(signal, () => store.resolve(reference, { signal, links }));
        if (!known) throw error;
        const text = `"${reference}" is as it was when it was kept: ${messageOf(error)}`;
        options.onWarning?.(text, store.name ?? 'store', stale);
        return known;
      }
    },
    /** Gives the names that waited for this content. */
    give: async (target: Descriptor): Promise<void> => {
      for (const [name, descriptor] of [...waiting]) {
        if (descriptor.digest !== target.digest) continue;
        await give(descriptor, name);
        waiting.delete(name);
      }
    },
  };
}
