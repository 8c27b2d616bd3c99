import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatReference,
  isRepositoryName,
  isTag,
  parseReference,
  parseRepository,
  type Reference,
} from '../../src/oci/reference.ts';

const sha256 = `sha256:${'0123456789abcdef'.repeat(4)}`;
const lower = fc.string({ unit: fc.constantFrom(...'abcxyz019'), minLength: 1, maxLength: 5 });
const separator = fc.constantFrom('.', '_', '__', '-', '---');
const component = fc
  .tuple(lower, fc.array(fc.tuple(separator, lower), { maxLength: 2 }))
  .map(([first, rest]) => first + rest.flat().join(''));
const registry = fc.oneof(
  fc.constantFrom(
    'docker.io',
    'localhost',
    'localhost:5000',
    '[2001:db8::1]',
    '[::1]:5000',
    '10.0.0.1',
    'LOCALHOST',
    'UPPER.example',
  ),
  fc
    .tuple(lower, lower, fc.option(fc.nat(65_535)))
    .map(([a, b, port]) => `x${a}.x${b}${port === null ? '' : `:${port}`}`),
);
const tagUnit = fc.constantFrom(...'abcXYZ019_');
const tag = fc
  .tuple(tagUnit, fc.string({ unit: fc.oneof(tagUnit, fc.constantFrom('.', '-')), maxLength: 127 }))
  .map((parts) => parts.join(''));
const references: fc.Arbitrary<Reference> = fc
  .record({
    registry,
    name: fc.array(component, { minLength: 2, maxLength: 5 }).map((parts) => parts.join('/')),
    tag: fc.option(tag, { nil: undefined }),
    digest: fc.constantFrom(undefined, sha256 as never, `sha512:${'a'.repeat(128)}` as never),
  })
  .filter((reference) => reference.tag !== undefined || reference.digest !== undefined);

test('a reference is read as it was written', () => {
  fc.assert(
    fc.property(references, (reference) => {
      expect(parseReference(formatReference(reference))).toEqual(reference);
    }),
  );
});

test('a character that no reference has makes any reference invalid, wherever it is', () => {
  const bad = fc.constantFrom(...' \t\n\r\0\u007f\u00e9\u2028\ud83d!?#%&*+=~^$\\|"\'(){}<>,;', '//', '..', '://', '@@');
  fc.assert(
    fc.property(references, bad, fc.nat(), (reference, character, at) => {
      const text = formatReference(reference);
      const position = at % (text.length + 1);
      const broken = text.slice(0, position) + character + text.slice(position);
      // Two dots are nothing bad inside a tag.
      fc.pre(character !== '..' || !/:[\w.-]*\.\.[\w.-]*(?:@|$)/.test(broken));
      expect(() => parseReference(broken)).toThrow(expect.objectContaining({ code: 'INVALID_REFERENCE' }));
    }),
  );
});

test('any text is a reference that reads the same again, or INVALID_REFERENCE', () => {
  const pieces = fc.constantFrom('a', 'B', '.', ':', '/', '@', '-', '_', '[', ']', '1', 'localhost', sha256);
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(pieces).map((parts) => parts.join('')),
      ),
      (text) => {
        let reference: Reference;
        try {
          reference = parseReference(text);
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_REFERENCE' });
          return;
        }
        expect(parseReference(formatReference(reference))).toEqual(reference);
      },
    ),
  );
});

// Answers of github.com/distribution/reference v0.6.0, ParseNormalizedNamed and TagNameOnly; null is an error.
const goCases = JSON.parse(readFileSync(new URL('reference-go-cases.json', import.meta.url), 'utf8')) as {
  text: string;
  canonical: string | null;
}[];

/** Docker takes `Foo/bar` for a repository at a host "Foo"; here it is a path with a capital in it. */
const isCapital = (text: string): boolean =>
  /^(?!localhost\/)[^/.:@]*[A-Z][^/.:@]*\//i.test(text) && /^[^/]*[A-Z]/.test(text);

test.each(goCases)('$text is what Docker makes of it, but for capitals', ({ text, canonical }) => {
  if (canonical === null || isCapital(text)) expect(() => parseReference(text)).toThrow(JSON.stringify(text));
  else expect(formatReference(parseReference(text))).toBe(canonical);
});

describe('familiar names', () => {
  test.each([
    ['alpine', 'docker.io/library/alpine:latest'],
    ['foo/bar', 'docker.io/foo/bar:latest'],
    ['alpine:3.20', 'docker.io/library/alpine:3.20'],
    [`alpine:3.20@${sha256}`, `docker.io/library/alpine:3.20@${sha256}`],
    [`alpine@${sha256}`, `docker.io/library/alpine@${sha256}`],
    ['docker.io/alpine', 'docker.io/library/alpine:latest'],
    ['index.docker.io/alpine', 'docker.io/library/alpine:latest'],
    ['Docker.IO/alpine', 'docker.io/library/alpine:latest'],
    ['registry-1.docker.io/library/alpine', 'registry-1.docker.io/library/alpine:latest'],
    ['a.b/c', 'a.b/c:latest'],
    ['registry:5000/name', 'registry:5000/name:latest'],
    ['localhost/x', 'localhost/x:latest'],
    ['LOCALHOST/x', 'LOCALHOST/x:latest'],
    ['Foo.example/bar', 'Foo.example/bar:latest'],
    ['[::1]:5000/x', '[::1]:5000/x:latest'],
    ['[2001:db8::1]/x:y', '[2001:db8::1]/x:y'],
    ['example.com', 'docker.io/library/example.com:latest'],
    ['redis:5000', 'docker.io/library/redis:5000'],
  ])('%s is %s', (text, canonical) => {
    expect(formatReference(parseReference(text))).toBe(canonical);
  });
});

test.each([
  ['', 'it is empty'],
  ['a//b', 'empty path component'],
  ['/a', 'empty path component'],
  ['a/', 'empty path component'],
  ['x.y/', 'no repository name'],
  ['docker.io/', 'no repository name'],
  ['../a', 'registry ".."'],
  ['a/../b', 'path component ".."'],
  ['http://x.y/a', 'a URL'],
  ['docker.io/a:t:u', 'tag "t:u"'],
  ['localhost:5000', 'registry "localhost:5000" without a repository'],
  ['localhost', 'registry "localhost" without a repository'],
  ['a:', 'empty tag'],
  [':a', 'no repository name'],
  ['a@', 'empty digest'],
  [`@${sha256}`, 'no repository name'],
  [`a:@${sha256}`, 'empty tag'],
  ['a/B', 'path component "B" has upper-case letters'],
  ['Alpine', 'path component "Alpine" has upper-case letters'],
  ['a:-t', 'tag "-t"'],
  [`a:${'t'.repeat(129)}`, 'tag of 129 characters'],
  [`x.y/${'a/'.repeat(127)}bc`, 'repository name of 256 characters'],
  ['a@sha256:abc', 'digest "sha256:abc": 3 hex characters'],
  ['a@md5:d41d8cd98f00b204e9800998ecf8427e', 'unknown algorithm "md5"'],
  [`a@sha256:${'A'.repeat(64)}`, 'upper-case hex'],
  [`a@${sha256}@${sha256}`, 'digest'],
  ['a'.repeat(64), '64 hex characters'],
  ['alpine\n', 'control character'],
  ['alp ine', 'white space'],
  ['a\u0000', 'control character'],
  ['ä', 'path component "ä"'],
  ['x.y:port/a', 'registry "x.y:port"'],
  ['x.y:65536/a', 'port above 65535'],
  ['-x.y/a', 'registry "-x.y"'],
  ['1.2.3.999/a', 'registry "1.2.3.999"'],
  ['[::1/a', 'registry "[::1"'],
  ['[::g]/a', 'registry "[::g]"'],
  ['[fe80::1%25eth0]/a', 'registry'],
  ['::1/a', 'registry "::1"'],
  [undefined as unknown as string, 'not a string'],
])('%j is no reference', (text, part) => {
  expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'INVALID_REFERENCE' }));
  expect(() => parseReference(text)).toThrow(`Cannot parse reference ${JSON.stringify(text) ?? '"undefined"'}: `);
  expect(() => parseReference(text)).toThrow(part);
});

test('a password in a URL instead of a reference stays out of the message', () => {
  expect(() => parseReference('https://user:secret@x.y/a')).toThrow('"https://***@x.y/a"');
});

test('a name of 255 characters and a tag of 128 are allowed', () => {
  expect(isRepositoryName('a'.repeat(255))).toBe(true);
  expect(isRepositoryName('a'.repeat(256))).toBe(false);
  expect(isTag('t'.repeat(128))).toBe(true);
  expect(parseReference(`x.y/${'a'.repeat(255)}:${'t'.repeat(128)}`).name).toHaveLength(255);
});

test('a text of a million characters is refused at once', () => {
  for (const text of [
    `${'a-'.repeat(500_000)}/b.c`,
    `${'-'.repeat(1e6)}.`,
    `a:${'['.repeat(1e6)}`,
    'a/'.repeat(500_000),
  ]) {
    const began = performance.now();
    expect(() => parseReference(text)).toThrow('…');
    expect(performance.now() - began).toBeLessThan(2000);
  }
});

describe('a repository', () => {
  test('is read without a tag', () => {
    expect(parseRepository('alpine')).toEqual({ registry: 'docker.io', name: 'library/alpine' });
    expect(parseRepository('localhost:5000/a')).toEqual({ registry: 'localhost:5000', name: 'a' });
  });

  test.each([
    ['alpine:3', 'tag "3" where only a repository'],
    [`alpine@${sha256}`, 'where only a repository'],
    ['a//b', 'empty path component'],
  ])('is not %s', (text, found) => {
    expect(() => parseRepository(text)).toThrow(expect.objectContaining({ code: 'INVALID_REFERENCE' }));
    expect(() => parseRepository(text)).toThrow(`Cannot parse repository "${text}": `);
    expect(() => parseRepository(text)).toThrow(found);
  });
});
