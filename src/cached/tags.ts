import type { Descriptor } from '../oci/descriptor.ts';
import type { Store } from '../source.ts';

/** Tags that are remembered until their content is in the store. */
const mostTags = 1_000;

/** Names of content, given to it as soon as the store has it; until then they are in `waiting`. */
export function createTags(store: Store, waiting: Map<string, Descriptor>) {
  const give = async (target: Descriptor, name: string): Promise<void> => {
    const known = await store.resolve(name).catch(() => undefined);
    if (known?.digest !== target.digest) await store.tag(target, name);
  };
  return {
    /** Gives the name at once where the store has the content; remembers it where not. */
    note: async (target: Descriptor, name: string): Promise<void> => {
      waiting.delete(name);
      waiting.set(name, target);
      const [oldest] = waiting.keys();
      if (waiting.size > mostTags && oldest !== undefined) waiting.delete(oldest);
      await give(target, name);
      waiting.delete(name);
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
