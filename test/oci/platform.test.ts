import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  compareFits,
  type Fit,
  fitOf,
  formatPlatform,
  machinePlatform,
  matchesPlatform,
  normalizePlatform,
  parsePlatform,
} from '../../src/oci/platform.ts';
import answers from './platform-go-cases.json' with { type: 'json' };

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

/** What containerd's `Only` says of each of these platforms: those of them that run there, best first. */
const cases = Object.entries(answers as Readonly<Record<string, readonly string[]>>);
const all = cases.map(([wanted]) => wanted);

function running(wanted: string): readonly string[] {
  const fits: { readonly text: string; readonly fit: Fit }[] = [];
  for (const text of all) {
    const fit = fitOf(parsePlatform(wanted), parsePlatform(text));
    if (fit) fits.push({ text, fit });
  }
  return fits.sort((a, b) => compareFits(a.fit, b.fit)).map(({ text }) => text);
}

test.each(cases.filter(([wanted]) => !wanted.startsWith('windows')))(
  'on %s runs what containerd says',
  (wanted, order) => {
    expect(running(wanted)).toEqual(order);
  },
);

test.each(cases.filter(([wanted]) => wanted.startsWith('windows')))(
  'on %s runs what containerd says, in any order',
  (wanted, order) => {
    expect([...running(wanted)].sort()).toEqual([...order].sort());
  },
);

test('of images for Windows that run, the newest comes first if a version is wanted', () => {
  expect(running('windows(10.0.26100.3000)/amd64')[0]).toBe('windows(10.0.26100.3000)/amd64');
  expect(running('windows(10.0.25398+win32k)/amd64')[0]).toBe('windows(10.0.25398+win32k)/amd64');
  expect(running('windows/amd64')).toEqual(all.filter((text) => running('windows/amd64').includes(text)));
});

test.each([
  [17_763, 17_763, true],
  [17_763, 20_348, false],
  [20_348, 17_763, false],
  [20_348, 20_348, true],
  [22_621, 17_763, false],
  [22_621, 20_348, true],
  [25_398, 20_348, true],
  [26_100, 20_348, true],
  [26_100, 22_621, true],
  [20_348, 26_100, false],
  [20_348, 22_621, false],
  [27_000, 25_398, false],
  [27_000, 26_100, true],
])('Windows of build %i runs an image of build %i: %s', (host, image, runs) => {
  const of = (build: number) => parsePlatform(`windows(10.0.${build}.1)/amd64`);
  expect(matchesPlatform(of(host), of(image))).toBe(runs);
});

test.each([
  ['linux/arm64', 'linux/arm64/v8', true],
  ['linux/arm', 'linux/arm/v6', true],
  ['linux/arm/v6', 'linux/arm', false],
  ['linux/amd64', 'linux/386', true],
  ['linux/amd64', 'windows/amd64', false],
  ['freebsd(14.2)/amd64', 'freebsd/amd64', true],
  ['freebsd(14.2)/amd64', 'freebsd(13.1)/amd64', false],
  ['linux/arm64/v10', 'linux/arm64', false],
  ['linux/amd64/v99999999999', 'linux/amd64', true],
])('%s runs %s: %s', (wanted, offered, runs) => {
  expect(matchesPlatform(parsePlatform(wanted), parsePlatform(offered))).toBe(runs);
});

test('a missing os feature does not match, except that of the Windows user interface', () => {
  const plain = { os: 'windows', architecture: 'amd64' };
  expect(matchesPlatform(plain, { ...plain, 'os.features': ['x'] })).toBe(false);
  expect(matchesPlatform({ ...plain, 'os.features': ['y', 'x'] }, { ...plain, 'os.features': ['x'] })).toBe(true);
  expect(matchesPlatform(plain, { ...plain, 'os.features': ['win32k'] })).toBe(true);
});

test('any platform runs what is for itself, but for variants of arm64 that do not exist', () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
  const variant = fc.option(fc.constantFrom('v5', 'v7', 'v8', 'v2'), { nil: undefined });
  const check = (os: string, architecture: string, one: string | undefined) => {
    fc.pre(architecture !== 'arm64');
    const platform = { os, architecture, variant: one };
    expect(fitOf(platform, platform)?.rank).toBe(0);
  };
  fc.assert(fc.property(word, fc.oneof(word, fc.constantFrom('amd64', 'arm', '386')), variant, check));
});

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
