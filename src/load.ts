import { cannot, messageOf } from './errors.ts';
import { builtin } from './runtime.ts';

/**
 * A part of this package that brings these dependencies. If they cannot be loaded, as a bundler has changed them or they are
 * not installed, that is `UNSUPPORTED` with the reason `bundle`, whatever they were to be used for.
 */
export async function load<Part>(dependencies: readonly string[], part: () => Promise<Part>): Promise<Part> {
  provideRequire();
  try {
    return await part();
  } catch (cause) {
    const external = dependencies.map((name) => `'${name}'`).join(', ');
    const setting = `In a bundle, leave it out ("external: [${external}]") and install it beside the bundle`;
    throw cannot('UNSUPPORTED', `load ${dependencies.join(' or ')}`, `${messageOf(cause)}. ${setting}`, {
      reason: 'bundle',
      cause,
    });
  }
}

/**
 * esbuild leaves `require` in its ESM output, which has none: its stand-in, which cannot resolve, looks for a
 * global one whenever it is called. undici calls it with the first connection, yaml while it is loaded.
 */
function provideRequire(): void {
  const { url } = import.meta;
  const isStandIn = typeof require === 'function' && typeof require.resolve !== 'function';
  if (!isStandIn || 'require' in globalThis || typeof url !== 'string') return;
  const value = builtin('node:module')?.createRequire(url);
  if (value) Object.defineProperty(globalThis, 'require', { value, writable: true, configurable: true });
}
