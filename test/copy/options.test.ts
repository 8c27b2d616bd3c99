import { expect, test } from 'vitest';
import { copy } from '../../src/copy/copy.ts';
import type { CopyOptions } from '../../src/copy/options.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { errorOf } from '../support/hosts.ts';
import { filled, image, watched } from './support.ts';

test.each([
  [{ plattform: 'linux/arm64' }, 'unknown option "plattform", did you mean "platform"?'],
  [
    { to: '/x' },
    'unknown option "to", expected one of signal, platform, concurrency, nonDistributable, verify, name, limits, onEvent',
  ],
  [{ verify: 'again' }, 'verify: found "again", expected true or false'],
  [{ nonDistributable: 'yes' }, 'nonDistributable: found "yes", expected true or false'],
  [{ signal: 5 }, 'signal: found 5, expected an AbortSignal'],
  [{ signal: {} }, 'signal: found an object, expected an AbortSignal'],
  [{ onEvent: 'log' }, 'onEvent: found "log", expected a function'],
  [null, 'found null, expected an object of options'],
  ['linux/arm64', 'found "linux/arm64", expected an object of options'],
  [{ signal: 5, onEvents: 1 }, '2 problems\n  signal: found 5'],
])('%j is refused, before anything is asked for', async (options, says) => {
  const { source, fetched } = watched(await filled(image('app')));
  const error = await errorOf(copy(source, memoryStore(), 'latest', options as CopyOptions));
  expect(error.code).toBe('INVALID_CONFIG');
  expect(error.message).toContain(`Cannot copy: ${says}`);
  expect(fetched).toEqual([]);
});

test('what is undefined is left out', async () => {
  const nothing = { signal: undefined, platform: undefined, nonDistributable: undefined, name: undefined };
  const options = { ...nothing, concurrency: undefined, onEvent: undefined };
  const { copied } = await copy(await filled(image('app')), memoryStore(), 'latest', options);
  expect(copied).toBeGreaterThan(0);
});
