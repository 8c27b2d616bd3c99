import type { Fetched, Source } from '../source.ts';

/** The source; each of its answers is told to `note`, with the time (`performance.now()`) at which it was asked for. */
export const noting = (source: Source, note: (fetched: Fetched, started: number) => void): Source => ({
  resolve: (reference, options) => source.resolve(reference, options),
  fetch: async (target, options) => {
    const started = performance.now();
    const fetched = await source.fetch(target, options);
    note(fetched, started);
    return fetched;
  },
});
