import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareFits, type Fit, fitOf, matchesPlatform, parsePlatform } from '../../src/oci/platform.ts';

import answers from './platform-go-cases.json' with { type: 'json' };

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
