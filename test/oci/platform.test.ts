import { expect, test } from 'vitest';
import { formatPlatform, machinePlatform, normalizePlatform, parsePlatform } from '../../src/oci/platform.ts';

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

test.each([
  [''],
  ['/'],
  ['linux/'],
  ['/amd64'],
  ['linux/arm/v7/x'],
  ['linux/am d64'],
  ['linux/*'],
  ['linux/arm\n'],
  ['plan10'],
  ['linux(1'],
  ['amd64(1.2)'],
])('%j is no platform', (text) => {
  expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: 'INVALID_REFERENCE' }));
  expect(() => parsePlatform(text)).toThrow(JSON.stringify(text));
});

test('a single word is an os, for the architecture of this machine, or an architecture, for its os', () => {
  const { os, architecture } = machinePlatform();
  expect(parsePlatform('linux')).toMatchObject({ os: 'linux', architecture });
  expect(parsePlatform('windows(10.0.20348)')).toMatchObject({ os: 'windows', 'os.version': '10.0.20348' });
  expect(parsePlatform('macOS').os).toBe('darwin');
  expect(parsePlatform('aarch64')).toEqual({ os, architecture: 'arm64' });
  expect(parsePlatform('arm')).toEqual({ os, architecture: 'arm', variant: 'v7' });
});

test('features of an os are read and written', () => {
  const platform = { os: 'windows', architecture: 'amd64', 'os.version': '10.0.17763', 'os.features': ['win32k', 'x'] };
  expect(parsePlatform('windows(10.0.17763+win32k+x)/amd64')).toEqual(platform);
  expect(formatPlatform(platform)).toBe('windows(10.0.17763+win32k+x)/amd64');
  expect(formatPlatform(parsePlatform('linux(+a)/amd64'))).toBe('linux(+a)/amd64');
});

test('spelling a platform keeps its other fields', () => {
  const offered = { os: 'windows', architecture: 'x86_64', 'os.features': ['win32k'] };
  expect(normalizePlatform(offered)).toEqual({ ...offered, architecture: 'amd64' });
});
