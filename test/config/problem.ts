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

/** What it takes to see that no reading changed what all objects inherit. */
export function expectCleanPrototype(): void {
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
}
