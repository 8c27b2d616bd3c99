import type { Scope } from '../oci/scope.ts';

/** What an access token stands for. */
export interface AccessToken {
  readonly user: string | undefined;
  readonly scopes: readonly Scope[];
}

export interface TokenBox<Value> {
  /** A new random token for `value`; `lifetime` in seconds, for ever when left out. */
  add(value: Value, lifetime?: number): string;
  /** Undefined for a token that was never given, has expired, or was pushed out by newer ones. */
  find(token: string): Value | undefined;
}

/** Opaque tokens and what they stand for, at most `limit`: the oldest goes first. */
export function tokenBox<Value>(limit: number): TokenBox<Value> {
  const values = new Map<string, { readonly value: Value; readonly end: number }>();
  return {
    add(value, lifetime = Number.POSITIVE_INFINITY) {
      for (const oldest of values.keys()) {
        if (values.size < limit) break;
        values.delete(oldest);
      }
      const bytes = crypto.getRandomValues(new Uint8Array(32));
      const token = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
      values.set(token, { value, end: performance.now() + lifetime * 1000 });
      return token;
    },
    find(token) {
      const found = values.get(token);
      if (!found || performance.now() < found.end) return found?.value;
      values.delete(token);
      return undefined;
    },
  };
}
