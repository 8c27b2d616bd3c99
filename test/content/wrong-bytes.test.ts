import { expect, test } from 'vitest';
import { createHosts, type ReadingHosts } from '../../src/content/attempts.ts';
import { untilRight } from '../../src/content/wrong-bytes.ts';
import { type ErrorCode, RegistryError } from '../../src/errors.ts';
import { samples } from '../contract/source.ts';
import { errorOf } from '../support/hosts.ts';

const { descriptor } = samples.large;

/** Reads that fail one after the other, each with what it does to its hosts; and the hosts that each must not contact. */
function failing(...ends: readonly [code: ErrorCode, use: (hosts: ReadingHosts) => void][]) {
  const excepts: (readonly string[])[] = [];
  const read = async (except: readonly string[]) => {
    const [code, use] = ends[excepts.length] ?? [];
    excepts.push(except);
    if (!code || !use) return { value: 'right' };
    const hosts = createHosts({ except });
    use(hosts);
    return { error: new RegistryError(code, `it is ${code}`), hosts };
  };
  return { excepts, read };
}

const all =
  (...names: string[]) =>
  (hosts: ReadingHosts): void => {
    for (const name of names) hosts.serves(name, descriptor.size);
  };

test('a host that gave all of the wrong bytes is not contacted again; of several, each is', async () => {
  const { excepts, read } = failing(['DIGEST_MISMATCH', all('a')], ['DIGEST_MISMATCH', all('b', 'c')]);
  expect(await untilRight(descriptor, read)).toBe('right');
  expect(excepts).toEqual([[], ['a'], ['a']]);
});

test('a host that sent too much after the last byte is not contacted again', async () => {
  const tooMuch = (hosts: ReadingHosts): void => {
    all('a')(hosts);
    hosts.exclude('a');
  };
  const { excepts, read } = failing(['TOO_LARGE', tooMuch]);
  expect(await untilRight(descriptor, read)).toBe('right');
  expect(excepts).toEqual([[], ['a']]);
});

test('what ended before its last byte, or for another reason than its bytes, is final', async () => {
  const short = failing(['TOO_LARGE', (hosts) => hosts.exclude('a')]);
  expect((await errorOf(untilRight(descriptor, short.read))).code).toBe('TOO_LARGE');
  const denied = failing(['DENIED', all('a')]);
  expect((await errorOf(untilRight(descriptor, denied.read))).code).toBe('DENIED');
  expect([short.excepts.length, denied.excepts.length]).toEqual([1, 1]);
});

test('an error that is thrown is final as it is, and wrong bytes are read six times at most', async () => {
  const thrown = new RegistryError('STORE_ERROR', 'the disk is full');
  expect(await errorOf(untilRight(descriptor, () => Promise.reject(thrown)))).toBe(thrown);
  const { excepts, read } = failing(...Array(9).fill(['DIGEST_MISMATCH', all('a', 'b')]));
  expect((await errorOf(untilRight(descriptor, read))).code).toBe('DIGEST_MISMATCH');
  expect(excepts.length).toBe(6);
});
