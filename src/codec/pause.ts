/** Milliseconds a decoder may work before others get their turn. */
const turn = 20;

/**
 * Lets the event loop run where decoding in JavaScript has held it for long: timers, aborts and other bodies wait
 * meanwhile. Await it between steps; mostly it is over at once.
 */
export function createPause(): () => Promise<void> {
  const later = globalThis.setImmediate ?? globalThis.setTimeout;
  let since = performance.now();
  return async () => {
    if (performance.now() - since < turn) return;
    await new Promise<void>((resolve) => {
      later(resolve);
    });
    since = performance.now();
  };
}
