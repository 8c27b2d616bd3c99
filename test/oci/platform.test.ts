import { expect, test } from 'vitest';
import { formatPlatform, matchesPlatform, normalizePlatform, parsePlatform } from '../../src/oci/platform.ts';

test.each([
  ['linux/amd64', 'linux/amd64'],
  ['linux/arm', 'linux/arm/v7'],
  ['linux/arm/v7', 'linux/arm/v7'],
  ['linux/arm/6', 'linux/arm/v6'],
  ['linux/armhf', 'linux/arm/v7'],
  ['linux/armel', 'linux/arm/v6'],
  ['Linux/X86_64', 'linux/amd64'],
  ['linux/x86-64/v1', 'linux/amd64'],
  ['linux/amd64/v3', 'linux/amd64/v3'],
  ['linux/aarch64', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64'],
  ['linux/arm64/8', 'linux/arm64'],
  ['linux/arm64/v8.0', 'linux/arm64'],
  ['linux/arm64/9', 'linux/arm64/v9'],
  ['linux/arm64/v9.0', 'linux/arm64/v9'],
  ['linux/arm64/v8.1', 'linux/arm64/v8.1'],
  ['macos/arm64', 'darwin/arm64'],
  ['linux/i386', 'linux/386'],
  ['windows(10.0.17763.1)/amd64', 'windows(10.0.17763.1)/amd64'],
  ['linux/riscv64', 'linux/riscv64'],
])('%s is %s', (text, spelled) => {
  expect(formatPlatform(parsePlatform(text))).toBe(spelled);
  expect(parsePlatform(spelled)).toEqual(parsePlatform(text));
});

test.each(['', 'linux', '/', 'linux/', '/amd64', 'linux/arm/v7/x', 'linux/am d64', 'linux/*', 'linux/arm\n'])(
  '%j is no platform',
  (text) => {
    expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: 'INVALID_REFERENCE' }));
    expect(() => parsePlatform(text)).toThrow(JSON.stringify(text));
  },
);

test.each([
  ['linux/amd64', 'linux/x86_64', true],
  ['linux/arm', 'linux/arm/v7', true],
  ['linux/arm/v7', 'linux/arm/v6', false],
  ['linux/arm64', 'linux/arm64/v8', true],
  ['linux/amd64', 'windows/amd64', false],
  ['linux/amd64', 'linux/arm64', false],
  ['windows/amd64', 'windows(10.0.1)/amd64', true],
  ['windows(10.0.1)/amd64', 'windows(10.0.2)/amd64', false],
])('%s wanted, %s offered: %s', (wanted, offered, matches) => {
  expect(matchesPlatform(parsePlatform(wanted), parsePlatform(offered))).toBe(matches);
});

test('an os feature that is not there is no match, and other fields stay', () => {
  const plain = { os: 'windows', architecture: 'amd64' };
  const offered = { ...plain, 'os.features': ['win32k'] };
  expect(matchesPlatform(plain, offered)).toBe(false);
  expect(matchesPlatform({ ...plain, 'os.features': ['win32k', 'x'] }, offered)).toBe(true);
  expect(normalizePlatform({ ...offered, architecture: 'x86_64' })).toEqual(offered);
});
