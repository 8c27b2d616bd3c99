import { expect, test } from 'vitest';
import { patternsOf, slownessOf } from './support/patterns.ts';
import { readSources } from './support/sources.ts';

const sources = await readSources();

/** Why a pattern that the rule reports is linear on what it is given, by `path /pattern/flags`. */
const boundedPatterns: Readonly<Record<string, string>> = {
  [String.raw`http/header-fields /(?:^|,)\s*299\s+\S+\s+"((?:[^"\\]|\\.)*)"/g`]: 'the field is cut to 4,096 characters',
};

test('no regular expression takes more than linear time, or it is given texts of bounded length', () => {
  const found = new Map<string, string>();
  for (const { place, literal } of sources.flatMap(patternsOf)) {
    const why = literal ? slownessOf(literal) : 'put together from what is not constant';
    if (why !== undefined) found.set(place.replace(/^src\/(.*?)\.ts:\d+/, '$1'), `${place}: ${why}`);
  }
  expect([...found].filter(([name]) => !boundedPatterns[name]).map(([, line]) => line)).toEqual([]);
  expect(Object.keys(boundedPatterns).filter((name) => !found.has(name))).toEqual([]);
});

test.each([
  String.raw`/:\/\/.*@/s`,
  String.raw`/^\s*server\s*=/m`,
  String.raw`/\s+$/`,
  String.raw`/a+b?a+$/`,
  String.raw`/(?:a+)+$/`,
  String.raw`/\.regctl.*\.json$/`,
  String.raw`/(?::\d+)+$/`,
  String.raw`/(?:x|<)[^>]*>/`,
])('the rule reports %s', (written) => {
  const end = written.lastIndexOf('/');
  expect(slownessOf({ source: written.slice(1, end), flags: written.slice(end + 1) })).toBeDefined();
});

test.each([
  String.raw`/^.*@/s`,
  String.raw`/\/\/[^/]*@/`,
  String.raw`/\?.*/s`,
  String.raw`/(?<!\/)\/+$/`,
  String.raw`/<[^<>]*>/`,
  String.raw`/[ \t]*=/y`,
  String.raw`/^[ \t]*server[ \t]*=/m`,
  String.raw`/[\s,]+/`,
])('the rule accepts %s', (written) => {
  const end = written.lastIndexOf('/');
  expect(slownessOf({ source: written.slice(1, end), flags: written.slice(end + 1) })).toBeUndefined();
});
