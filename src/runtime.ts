type Builtins = {
  'node:crypto': typeof import('node:crypto');
  'node:diagnostics_channel': typeof import('node:diagnostics_channel');
  'node:dns': typeof import('node:dns');
  'node:events': typeof import('node:events');
  'node:fs': typeof import('node:fs');
  'node:module': typeof import('node:module');
  'node:net': typeof import('node:net');
  'node:os': typeof import('node:os');
  'node:path': typeof import('node:path');
  'node:stream': typeof import('node:stream');
  'node:url': typeof import('node:url');
  'node:tls': typeof import('node:tls');
};

/**
 * A module of the runtime: in Node from 20.16 and 22.3, Bun and Deno, but not in browsers. It is looked up at run time,
 * so that the core imports no `node:` module and loads anywhere.
 */
export function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] | undefined {
  return globalThis.process?.getBuiltinModule?.(name) as Builtins[Name] | undefined;
}

/** `Symbol.asyncDispose`, or a symbol in its place: Node 20 has it, but not in VM contexts, such as Jest's. */
export const asyncDispose: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? (Symbol.for('Symbol.asyncDispose') as typeof Symbol.asyncDispose);
