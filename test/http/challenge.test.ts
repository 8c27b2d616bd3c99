import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Challenge, parseChallenges } from '../../src/http/challenge.ts';

const bearer = (parameters: Record<string, string>): Challenge => ({ scheme: 'bearer', parameters });

const fields: readonly [string, Challenge[]][] = [
  ['', []],
  [' , ,\t', []],
  ['Basic', [{ scheme: 'basic', parameters: {} }]],
  ['Basic realm="a"', [{ scheme: 'basic', parameters: { realm: 'a' } }]],
  ['BEARER REALM="https://a.test/token",Service="b"', [bearer({ realm: 'https://a.test/token', service: 'b' })]],
  ['bearer  realm = "a" ,\tservice= "b"  ', [bearer({ realm: 'a', service: 'b' })]],
  ['Bearer realm="a",, ,service="b",', [bearer({ realm: 'a', service: 'b' })]],
  ['Bearer realm=https://a.test/token,service=b', [bearer({ realm: 'https://a.test/token', service: 'b' })]],
  ['Bearer realm=https://a.test/t?x=1&y=2', [bearer({ realm: 'https://a.test/t?x=1&y=2' })]],
  ['Bearer realm="a, b \\"c\\" \\\\ d=e"', [bearer({ realm: 'a, b "c" \\ d=e' })]],
  ['Bearer realm=""', [bearer({ realm: '' })]],
  [
    'Bearer realm="a",scope="repository:x:pull,push registry:catalog:*"',
    [bearer({ realm: 'a', scope: 'repository:x:pull,push registry:catalog:*' })],
  ],
  ['Bearer realm="first",realm="second"', [bearer({ realm: 'first' })]],
  [
    'Basic realm="a", Bearer realm="b",service="c", Digest realm="d", nonce=e',
    [
      { scheme: 'basic', parameters: { realm: 'a' } },
      bearer({ realm: 'b', service: 'c' }),
      { scheme: 'digest', parameters: { realm: 'd', nonce: 'e' } },
    ],
  ],
  [
    'Negotiate, Basic realm="a"',
    [
      { scheme: 'negotiate', parameters: {} },
      { scheme: 'basic', parameters: { realm: 'a' } },
    ],
  ],
  [
    'Negotiate YWJj/+-._~==, Bearer realm="a"',
    [{ scheme: 'negotiate', parameters: {}, token68: 'YWJj/+-._~==' }, bearer({ realm: 'a' })],
  ],
  [
    'Bearer realm="a", Negotiate YWJj',
    [bearer({ realm: 'a' }), { scheme: 'negotiate', parameters: {}, token68: 'YWJj' }],
  ],
  ['Bearer __proto__="a",realm="b"', [bearer({ ['__proto__']: 'a', realm: 'b' })]],
];

test.each(fields)('%s', (field, challenges) => {
  const parsed = parseChallenges(field);
  expect(parsed.malformed).toBeUndefined();
  expect(
    parsed.challenges.map(({ parameters, ...rest }) => ({ ...rest, parameters: Object.entries(parameters) })),
  ).toEqual(challenges.map(({ parameters, ...rest }) => ({ ...rest, parameters: Object.entries(parameters) })));
});

const faults: readonly [string, string[]][] = [
  ['=', []],
  ['"Bearer" realm="a"', []],
  ['Basic realm="a", =b, Bearer realm="c"', ['basic']],
  ['Bearer realm="a', ['bearer']],
  ['Bearer realm="a" service="b"', ['bearer']],
  ['Bearer realm="a"service="b"', ['bearer']],
  ['Basic realm="a", Bearer realm="\\', ['basic', 'bearer']],
  ['Bearer,realm="a"', ['bearer']],
  ['{"errors":[]}', []],
];

test.each(faults)('%s is malformed: what comes before the fault counts', (field, schemes) => {
  const parsed = parseChallenges(field);
  expect(parsed.malformed).toMatch(/./);
  expect(parsed.challenges.map(({ scheme }) => scheme)).toEqual(schemes);
});

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}$/);
const spaces = fc.constantFrom('', ' ', '\t ', '   ');
const value = fc.oneof(
  fc.stringMatching(/^[\t\x20-\x7e]{0,12}$/).map((text) => ({ text, written: `"${text.replace(/["\\]/g, '\\$&')}"` })),
  token.map((text) => ({ text, written: text })),
);
const parameters = fc.uniqueArray(fc.tuple(token, value, spaces, spaces), {
  minLength: 1,
  maxLength: 4,
  selector: ([name]) => name.toLowerCase(),
});
const challenge = fc.oneof(
  fc.tuple(token, parameters).map(([scheme, list]) => ({
    written: `${scheme} ${list.map(([name, { written }, a, b]) => `${name}${a}=${b}${written}`).join(' , ')}`,
    expected: {
      scheme: scheme.toLowerCase(),
      parameters: list.map(([name, { text }]) => [name.toLowerCase(), text]).sort(),
      token68: undefined,
    },
  })),
  fc.tuple(token, fc.stringMatching(/^[A-Za-z0-9._~+/-]{1,12}={0,2}$/)).map(([scheme, token68]) => ({
    written: `${scheme} ${token68}`,
    expected: { scheme: scheme.toLowerCase(), parameters: [], token68 },
  })),
  token.map((scheme) => ({
    written: scheme,
    expected: { scheme: scheme.toLowerCase(), parameters: [], token68: undefined },
  })),
);

test('whatever the grammar allows is read, several challenges in a line and several lines joined', () => {
  fc.assert(
    fc.property(fc.array(challenge, { maxLength: 4 }), fc.constantFrom(', ', ',', ' ,, ', ',\t'), (list, comma) => {
      const parsed = parseChallenges(list.map(({ written }) => written).join(comma));
      expect(parsed.malformed).toBeUndefined();
      expect(
        parsed.challenges.map(({ scheme, parameters: named, token68 }) => ({
          scheme,
          parameters: Object.entries(named).sort(),
          token68,
        })),
      ).toEqual(list.map(({ expected }) => expected));
    }),
    { numRuns: 500 },
  );
});

test('no text makes it throw, and a fault is told or everything was read', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'Bearer ="\\,;é\t\n/x') }), (text) => {
      const { malformed } = parseChallenges(text);
      if (malformed !== undefined) expect(text.endsWith(malformed)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

const kibibytes64 = 65_536;
const hostile: readonly [string, string][] = [
  ['spaces', ' '],
  ['a scheme and spaces', 'a          '],
  ['schemes', 'a '],
  ['schemes and commas', 'a,'],
  ['parameters', 'a=b,'],
  ['commas', ',  '],
  ['quotes', '"'],
  ['escapes', '\\"'],
  ['token68', 'a=='],
  ['equals', '='],
  ['bare values', 'a=b '],
  ['empty values', 'a="",'],
];

test.each(hostile)('64 KiB of %s take no longer than they should', (_kind, unit) => {
  for (const start of ['', 'Bearer ', 'Bearer realm="', 'Bearer realm="a",', 'Bearer a']) {
    const field = start + unit.repeat(kibibytes64 / unit.length);
    const started = performance.now();
    parseChallenges(field);
    expect(performance.now() - started).toBeLessThan(250);
  }
  const different = `Bearer ${Array.from({ length: 8_000 }, (_, index) => `a${index}=b`).join(',')}`;
  const started = performance.now();
  expect(Object.keys(parseChallenges(different).challenges[0]?.parameters ?? {}).length).toBe(8_000);
  expect(performance.now() - started).toBeLessThan(250);
});
