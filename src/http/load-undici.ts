/** The parts of undici that connections are made of. */
export type Undici = Pick<typeof import('undici'), 'Agent' | 'ProxyAgent' | 'buildConnector'>;

/**
 * undici, without its side effect: imported, it makes itself the process's dispatcher where there is none yet, and the
 * built-in fetch would use that. Touching one of fetch's own names loads the built-in first, which brings its own.
 * In the bundle of the command line scripts/cli-undici.mjs stands in for this file.
 */
export function loadUndici(): Promise<Undici> {
  void globalThis.Headers;
  return import('undici');
}
