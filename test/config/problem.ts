import { expect } from 'vitest';
import { RegistryError } from '../../src/errors.ts';

/** The message of the INVALID_CONFIG that reading ends in; undefined where it does not. */
export function problemOf(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(RegistryError);
    expect(error).toMatchObject({ code: 'INVALID_CONFIG' });
    return (error as Error).message;
  }
}

/** A model without the places of TLS settings, which have tests of their own. */
export function withoutSpots<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutSpots) as Value;
  const kept = Object.entries(value).filter(([key, inner]) => key !== 'declaredAt' || typeof inner === 'string');
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutSpots(inner)])) as Value;
}

/** What it takes to see that no reading changed what all objects inherit. */
export function expectCleanPrototype(): void {
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
}
