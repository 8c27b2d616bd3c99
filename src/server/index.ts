export { memoryStore } from '../store/memory.ts';
export { basicAccess, type Users } from './access/basic.ts';
export { type TokenAccess, type TokenAccessOptions, tokenAccess } from './access/tokens.ts';
export { type Listening, type ListenOptions, listen } from './listen.ts';
export type { Handler } from './registry/exchange.ts';
export { type ServeOptions, serve } from './registry/serve.ts';
