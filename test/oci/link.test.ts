import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatNext, nextLink, parseLinks } from '../../src/oci/link.ts';

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
] as const)('the link that goes on is found in %s', (field, target) => {
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
])('there is no link that goes on in %s', (field) => {
  expect(nextLink(field)).toBeUndefined();
});

test('parameters are told by lower-case name, the first of each; __proto__ is a name as others', () => {
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

test('what is written is read, whatever stands before and after it', () => {
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

test('a parameter in any spelling is read', () => {
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

test('no text breaks the reading, and a long one takes no long time', () => {
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
