import { expect, test } from 'vitest';
import { formatPlatform, machinePlatform, parsePlatform } from '../../src/oci/platform.ts';

const on = (platform: string, arch: string, machine = '', release = '1.2.3-generic') =>
  formatPlatform(machinePlatform({ platform, arch }, { machine: () => machine, release: () => release }));

test.each([
  ['linux', 'x64', 'x86_64', 'linux/amd64'],
  ['linux', 'ia32', 'i686', 'linux/386'],
  ['linux', 'arm64', 'aarch64', 'linux/arm64'],
  ['linux', 'arm', 'armv6l', 'linux/arm/v6'],
  ['linux', 'arm', 'armv7l', 'linux/arm/v7'],
  ['linux', 'arm', 'aarch64', 'linux/arm/v8'],
  ['linux', 'arm', 'something', 'linux/arm/v7'],
  ['linux', 'ppc64', 'ppc64le', 'linux/ppc64le'],
  ['linux', 's390x', 's390x', 'linux/s390x'],
  ['linux', 'riscv64', 'riscv64', 'linux/riscv64'],
  ['darwin', 'arm64', 'arm64', 'darwin/arm64'],
  ['freebsd', 'x64', 'amd64', 'freebsd/amd64'],
])('%s %s on %s is %s', (platform, arch, machine, spelled) => {
  expect(on(platform, arch, machine)).toBe(spelled);
});

test('Windows has its build as version, if known', () => {
  expect(on('win32', 'x64', 'x86_64', '10.0.20348')).toBe('windows(10.0.20348)/amd64');
  expect(on('win32', 'arm64', 'arm64', 'unknown')).toBe('windows/arm64');
});

test('this machine has a platform that can be parsed, even if the runtime has no information', () => {
  expect(parsePlatform(formatPlatform(machinePlatform()))).toMatchObject({ os: machinePlatform().os });
  expect(machinePlatform({}, undefined)).toEqual({ os: 'linux', architecture: 'amd64' });
});
