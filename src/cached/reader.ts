import type { Feed } from '../body.ts';
import type { Fetched } from '../source.ts';
import { createQueue } from './queue.ts';

/** Chunks that the first reader may be behind. */
const room = 2;
/** Milliseconds that others wait for a first reader who takes nothing; then it has the rest from the store, too. */
export const patience = 1_000;

/** The first reader: served as it comes, until it is so slow that others would wait for it. */
export function createReader() {
  const queue = createQueue(room);
  let isBehind = false;
  const isReading = (): boolean => !queue.isLeft && !isBehind;
  return {
    queue,
    isReading,
    give: async (chunk: Uint8Array, areOthersWaiting: () => boolean): Promise<void> => {
      if (!isReading()) return;
      const timer = areOthersWaiting() ? setTimeout(queue.release, patience) : undefined;
      await queue.put(chunk);
      clearTimeout(timer);
      if (!queue.isFull) return;
      isBehind = true;
      queue.end();
    },
    /** What it is given, and once it is behind what `rest` has from there on. */
    feed: (rest: (start: number) => Promise<Fetched>, leave: () => void): Feed => {
      const chunks = (async function* () {
        let at = 0;
        for (let chunk = await queue.take(); chunk; chunk = await queue.take()) {
          at += chunk.length;
          yield chunk;
        }
        if (isBehind) yield* (await rest(at)).body;
      })();
      const cancel = (): void => {
        leave();
        // Not waited for: it may stand in a read that does not end.
        chunks.return(undefined).catch(() => {});
      };
      return { next: async () => (await chunks.next()).value ?? undefined, cancel };
    },
  };
}
