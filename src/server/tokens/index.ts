export { type BearerTokensOptions, bearerTokens } from './bearer.ts';
export { type TokenServer, type TokenServerOptions, tokenServer } from './token-server.ts';
