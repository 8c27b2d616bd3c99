import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Challenge,
  formatNext,
  nextLink,
  parseChallenges,
  parseLinks,
  parseRetryAfter,
  parseWarnings,
} from '../../src/http/header-fields.ts';

const page = '/v2/app/tags/list?last=b&n=1';

test.each([
  [`<${page}>; rel="next"`, page],
  [`<${page}>;rel=next`, page],
  [`<${page}>; rel=next;`, page],
  [`  ,< ${page} > ;; rel = "next" `, page],
  [`<${page}>; REL="NEXT"`, page],
  [`<${page}>; rel='next'`, page],
  [`<${page}>; rel="prev next"; title="a, b; <c>"`, page],
  [`<${page}>; title="<x>; rel=prev, \\" <y>" ; rel="next"`, page],
  [`<${page}>; rel="n\\ext"`, page],
  [`<${page}>; crossorigin; rel="next"`, page],
  [`<${page}>; title*=UTF-8''x%20y; rel="next"`, page],
  ['</first>; rel="first", </b>; rel="next", </c>; rel="next"', '/b'],
  ['</a>; rel="first",</b>;rel=next', '/b'],
  ['</a>; rel="prev last", </b>; rel="last\tnext"', '/b'],
  ['<https://registry.test/v2/app/tags/list?last=b>; rel="next"', 'https://registry.test/v2/app/tags/list?last=b'],
  ['<?n=2&last=x%2Fy,z;w>; rel="next"', '?n=2&last=x%2Fy,z;w'],
  ['<>; rel="next"', ''],
  [`${page}; rel="next"`, page],
  ['garbage "" here, </b>; rel="next"', '/b'],
  ["</a>; title='<x>', </b>; rel=next", '/b'],
  ['</a>; rel="next', '/a'],
] as const)('the link to the next page is found in %s', (field, target) => {
  expect(nextLink(field)).toBe(target);
});

test.each([
  undefined,
  '',
  ' , ;',
  '</a>',
  '</a>; rel="prev"',
  '</a>; rel=""',
  '</a>; rel="nextish"',
  '</a>; rel=prev; rel=next',
  '</a>; title="rel=next"',
  '</a>; title="x", b; title="; rel=next"',
  '</a>; rel="next"; anchor="/elsewhere"',
  '<never closed; rel="next"',
])('there is no link to a next page in %s', (field) => {
  expect(nextLink(field)).toBeUndefined();
});

test('parameters have lower-case names, of duplicates the first counts; __proto__ is a name like others', () => {
  const [first, second, ...others] = parseLinks('</a>; Rel=next; rel=prev; __proto__="x"; Flag, </b>; title="a\\"b"');
  expect(others).toEqual([]);
  expect([first?.target, Object.entries(first?.parameters ?? {})]).toEqual([
    '/a',
    [
      ['rel', 'next'],
      ['__proto__', 'x'],
      ['flag', ''],
    ],
  ]);
  expect([second?.target, second?.parameters.title]).toEqual(['/b', 'a"b']);
});

test('a formatted link is read, whatever is before and after it', () => {
  const targets = fc.webUrl({ withQueryParameters: true }).filter((url) => !url.includes('>'));
  const other = fc.tuple(
    fc.webUrl().filter((url) => !/[<>]/.test(url)),
    fc.constantFrom('; rel="prev"', ';rel=first', '; title="a, <b>; rel=next"', '; flag ; rel = "last"', ''),
  );
  const others = fc.array(
    other.map(([url, parameters]) => `<${url}>${parameters}`),
    { maxLength: 3 },
  );
  fc.assert(
    fc.property(targets, others, others, fc.constantFrom(', ', ',', ' , ,'), (target, before, after, comma) => {
      expect(nextLink([...before, formatNext(target), ...after].join(comma))).toBe(target);
    }),
  );
});

test('a link parameter in any spelling is read', () => {
  const text = fc.string({ unit: fc.constantFrom(...'ab ,;<>="\\\''), maxLength: 12 });
  const space = fc.constantFrom('', ' ', ' \t');
  fc.assert(
    fc.property(text, space, space, (value, one, two) => {
      const written = value.replace(/["\\]/g, '\\$&');
      const field = `</a>${one};${two}title${two}=${one}"${written}"${two};rel=next, </b>; rel=prev`;
      expect(parseLinks(field).map(({ target, parameters }) => [target, { ...parameters }])).toEqual([
        ['/a', { title: value, rel: 'next' }],
        ['/b', { rel: 'prev' }],
      ]);
    }),
  );
});

test('no text breaks the reading of links, and a long one does not take long', () => {
  const text = fc.string({ unit: fc.constantFrom(...'ab<>,;="\\\' \trel=next'), maxLength: 60 });
  fc.assert(
    fc.property(text, (field) => {
      for (const { target } of parseLinks(field)) expect(field).toContain(target);
    }),
    { numRuns: 1_000 },
  );
  const started = performance.now();
  for (const part of ['<a', '<', '"', '\\', ';', ',', '<a>;', '"a', "='", 'a=', '<a>; b="', ' ;'])
    parseLinks(`<a>${part.repeat(8_000)}`);
  expect(performance.now() - started).toBeLessThan(5_000);
});

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

test.each(fields)('the challenges of %s', (field, challenges) => {
  const parsed = parseChallenges(field);
  expect(parsed.malformed).toBeUndefined();
  expect(
    parsed.challenges.map(({ parameters, ...rest }) => ({ ...rest, parameters: Object.entries(parameters) })),
  ).toEqual(challenges.map(({ parameters, ...rest }) => ({ ...rest, parameters: Object.entries(parameters) })));
});

const malformedFields: readonly [string, string[]][] = [
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

test.each(malformedFields)('%s is malformed: the challenges before the error count', (field, schemes) => {
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

test('no text makes it throw, and a malformed rest is reported or everything was read', () => {
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

test.each(hostile)('64 KiB of %s in a list of challenges take no longer than they should', (_kind, unit) => {
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

test.each<[string | undefined, string[]]>([
  [undefined, []],
  ['', []],
  ['299 - "Your quota is low"', ['Your quota is low']],
  ['299 registry.test:5000 "Your quota is low" "Thu, 01 Jan 2026 00:00:00 GMT"', ['Your quota is low']],
  ['299 - "one", 299 - "two"', ['one', 'two']],
  ['299 - "one",299 - "one"', ['one']],
  ['110 - "stale", 299 - "one", 199 - "other"', ['one']],
  ['299 - "a \\"quoted\\" text \\\\ with, a comma"', ['a "quoted" text \\ with, a comma']],
  ['299 - "of another: , 299 - \\"two\\""', ['of another: , 299 - "two"']],
  ['299 - unquoted', []],
  ['299 - "never closed', []],
  ['1299 - "one"', []],
])('the warnings of %s', (field, texts) => {
  expect(parseWarnings(field)).toEqual(texts);
});

test('a Warning field of 64 KiB takes no longer than it should', () => {
  for (const unit of ['299 - "', ' ', ',', '299 ', '\\"']) {
    const started = performance.now();
    parseWarnings(unit.repeat(65_536 / unit.length));
    expect(performance.now() - started).toBeLessThan(250);
  }
});

test('Retry-After is milliseconds from now, or nothing', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  expect(parseRetryAfter(undefined)).toBeUndefined();
  expect(parseRetryAfter('3')).toBe(3_000);
  expect(parseRetryAfter('Thu, 01 Jan 2026 00:01:00 GMT', now)).toBe(60_000);
  expect(parseRetryAfter('Thu, 01 Jan 2026 00:01:00 GMT', now + 120_000)).toBe(0);
  expect(parseRetryAfter('3, 3')).toBeUndefined();
});

test('a Link field of 256 KiB takes no longer than it should', () => {
  for (const unit of ['<', '>', '"', '\\"', ',', ';', '<a>;', '<a>;b="', '<a,', '=', ' ', 'a;b=\\', '<"']) {
    for (const [start, end] of [
      ['', ''],
      ['<a>; b="', '\\'],
      ['x"', '\\'],
    ] as const) {
      const field = start + unit.repeat(262_144 / unit.length) + end;
      const started = performance.now();
      parseLinks(field);
      expect(performance.now() - started, JSON.stringify([start, unit, end])).toBeLessThan(500);
    }
  }
});

test('of more than a thousand links or challenges the rest is not read', () => {
  expect(parseLinks('<a>,'.repeat(2_000))).toHaveLength(1_000);
  const { challenges, malformed } = parseChallenges('Basic a=b,'.repeat(2_000));
  expect(challenges).toHaveLength(1_000);
  expect(malformed).toBe('Basic a=b,'.repeat(1_000));
});
