/** The parts of undici that connections are made of. */
export type Undici = Pick<typeof import('undici'), 'Agent' | 'Client' | 'Pool' | 'ProxyAgent' | 'buildConnector'>;

/**
 * undici, without its side effect: when imported, it makes itself the process's dispatcher if there is none yet, and the
 * built-in fetch would use that. Touching one of fetch's own names loads the built-in first, which brings its own.
 * scripts/cli-undici.mjs replaces this file in the bundle of the command line.
 */
export async function loadUndici(): Promise<Undici> {
  void globalThis.Headers;
  const found: Undici | { readonly default: Undici } = await import('undici');
  // esbuild puts a CommonJS module into a chunk that has no other names.
  return 'buildConnector' in found ? found : found.default;
}
