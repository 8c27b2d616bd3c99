export { type MemoryRegistry, memoryRegistry } from '../registry/memory-registry.ts';
export { type MemoryStore, memoryStore } from '../store/memory.ts';
export { basicAccess, type Users } from './access/basic.ts';
export { type TokenAccess, type TokenAccessOptions, tokenAccess } from './access/tokens.ts';
export { type Listening, type ListenOptions, listen } from './listen.ts';
export type { Handler, ServerAction } from './registry/exchange.ts';
export type { ServerProblem, StatusTable } from './registry/problem.ts';
export { serve } from './registry/serve.ts';
export type { ServeOptions, ServerEvent } from './registry/serve-options.ts';
