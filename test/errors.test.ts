import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  asError,
  asRegistryError,
  codeOfStatus,
  type ErrorCode,
  furthestOf,
  isError,
  messageOf,
  RegistryError,
} from '../src/errors.ts';

/** As the documentation has them, furthest first. */
const order: readonly ErrorCode[] = [
  'DIGEST_MISMATCH',
  'TOO_LARGE',
  'UNEXPECTED_END',
  'DECODE_ERROR',
  'UNSUPPORTED_ENCODING',
  'BAD_RESPONSE',
  'UNSAFE_URL',
  'TOO_MANY_REDIRECTS',
  'UNAUTHORIZED',
  'DENIED',
  'RATE_LIMITED',
  'TIMEOUT',
  'UNAVAILABLE',
  'NOT_FOUND',
];
const of = (code: ErrorCode): RegistryError => new RegistryError(code, code);

test('of several errors the one that got furthest is taken, in whatever order they came', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...order), { minLength: 1 }), (codes) => {
      const first = Math.min(...codes.map((code) => order.indexOf(code)));
      expect(furthestOf(codes.map(of))?.code).toBe(order[first]);
    }),
  );
  expect(furthestOf([])).toBeUndefined();
});

test('NOT_FOUND is taken only where every error is one', () => {
  for (const other of ['NO_HOSTS', 'INVALID_REFERENCE', 'UNSUPPORTED', 'CLOSED'] as const) {
    expect(furthestOf([of('NOT_FOUND'), of(other), of('NOT_FOUND')])?.code).toBe(other);
  }
  expect(furthestOf([of('NOT_FOUND'), of('NOT_FOUND')])?.code).toBe('NOT_FOUND');
});

test.each([
  [404, 'NOT_FOUND'],
  [410, 'NOT_FOUND'],
  [401, 'UNAUTHORIZED'],
  [403, 'DENIED'],
  [451, 'DENIED'],
  [429, 'RATE_LIMITED'],
  [408, 'TIMEOUT'],
  [425, 'UNAVAILABLE'],
  [500, 'UNAVAILABLE'],
  [503, 'UNAVAILABLE'],
  [400, 'BAD_RESPONSE'],
  [416, 'BAD_RESPONSE'],
  [304, 'BAD_RESPONSE'],
] as const)('status %i is %s', (status, code) => expect(codeOfStatus(status)).toBe(code));

test('a status that refuses by a policy is DENIED if the registry says why', () => {
  for (const status of [409, 412, 422, 423]) {
    expect([codeOfStatus(status), codeOfStatus(status, true)]).toEqual(['BAD_RESPONSE', 'DENIED']);
  }
  expect([codeOfStatus(402), codeOfStatus(451)]).toEqual(['DENIED', 'DENIED']);
  expect([codeOfStatus(400, true), codeOfStatus(405, true)]).toEqual(['BAD_RESPONSE', 'BAD_RESPONSE']);
});

test('an error tells code, status, host, registry codes, attempts and cause; what is left out is empty', () => {
  const cause = new Error('why');
  const error = new RegistryError('DENIED', 'no', { status: 403, host: 'a:1', registryErrors: ['X'], cause });
  expect(error).toMatchObject({ name: 'RegistryError', code: 'DENIED', status: 403, host: 'a:1', cause });
  expect(error.registryErrors).toEqual(['X']);
  const bare = new RegistryError('NO_HOSTS', 'none');
  expect([bare.status, bare.host, bare.registryErrors, bare.attempts]).toEqual([undefined, undefined, [], []]);
  expect('cause' in bare).toBe(false);
  expect(bare).toBeInstanceOf(Error);
});

test('an error of another copy of the package is one, other errors are not', () => {
  const foreign = Object.assign(new Error('x'), { [Symbol.for('ocifetch.RegistryError')]: true });
  expect(foreign).toBeInstanceOf(RegistryError);
  expect(new Error('x') instanceof RegistryError).toBe(false);
  expect((null as unknown) instanceof RegistryError).toBe(false);
});

test('what was thrown becomes a RegistryError that keeps it as cause; one that is stays itself', () => {
  const thrown = new TypeError('fetch failed');
  const error = asRegistryError(thrown, 'UNAVAILABLE', 'reach "x"');
  expect(error).toMatchObject({ code: 'UNAVAILABLE', message: 'Cannot reach "x": fetch failed', cause: thrown });
  expect(asRegistryError('text', 'TIMEOUT', 'do it').message).toBe('Cannot do it: text');
  expect(asRegistryError(error, 'TIMEOUT', 'again')).toBe(error);
});

test('an error of another realm, of which Node makes them in VM contexts, is an error', () => {
  const foreign: unknown = runInNewContext('Object.assign(new RangeError("too far"), { code: "FAR" })');
  expect(foreign instanceof Error).toBe(false);
  expect([isError(foreign), messageOf(foreign), asError(foreign) === foreign]).toEqual([true, 'too far', true]);
  expect(messageOf(runInNewContext('new TypeError("")'))).toBe('TypeError');
  for (const other of ['text', 5, null, undefined, {}, { message: 5 }]) expect(isError(other)).toBe(false);
  expect(asError('text').message).toBe('text');
});

test('a subclass of RegistryError has only its own errors; RegistryError has those of other copies, too', () => {
  class Special extends RegistryError {}
  const special = new Special('DENIED', 'no');
  expect([special instanceof Special, special instanceof RegistryError]).toEqual([true, true]);
  expect(of('DENIED') instanceof Special).toBe(false);
  const ofAnotherCopy = Object.assign(new Error('no'), { [Symbol.for('ocifetch.RegistryError')]: true });
  expect([ofAnotherCopy instanceof RegistryError, ofAnotherCopy instanceof Special]).toEqual([true, false]);
  for (const other of [new Error('no'), undefined, null, 'text']) expect(other instanceof RegistryError).toBe(false);
});
