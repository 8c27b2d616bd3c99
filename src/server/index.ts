export { memoryStore } from '../store/memory.ts';
export { type TokenAccess, type TokenAccessOptions, tokenAccess } from './access.ts';
export { basicAccess, type Users } from './basic-access.ts';
export type { Handler } from './exchange.ts';
export { type Listening, type ListenOptions, listen } from './listen.ts';
export { type ServeOptions, serve } from './serve.ts';
