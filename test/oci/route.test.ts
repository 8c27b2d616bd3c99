import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePath, type Route, toPath } from '../../src/oci/route.ts';

const hex = 'a'.repeat(64);
const digest = `sha256:${hex}`;
const names = fc
  .array(fc.constantFrom('a', 'b-c', 'blobs', 'uploads', 'manifests', 'tags', 'list', 'referrers', 'v2', 'x__y.z'), {
    minLength: 1,
    maxLength: 6,
  })
  .map((parts) => parts.join('/'));
const references = fc.constantFrom('latest', 'list', 'uploads', 'v1.0_x', digest);
const ids = fc.oneof(fc.uuid(), fc.string({ minLength: 1 }), fc.constantFrom('list', 'a/b', '%2e', 'manifests'));

const routes: fc.Arbitrary<Route> = fc.oneof(
  fc.constant<Route>({ kind: 'base' }),
  fc.record({ kind: fc.constant('manifest' as const), name: names, reference: references }),
  fc.record({ kind: fc.constantFrom('blob' as const, 'referrers' as const), name: names, digest: fc.constant(digest) }),
  fc.record({ kind: fc.constantFrom('tags' as const, 'uploads' as const), name: names }),
  fc.record({ kind: fc.constant('upload' as const), name: names, id: ids.filter((id) => id !== '.' && id !== '..') }),
);

test('a path is read as the route it was made of, also from a URL', () => {
  fc.assert(
    fc.property(routes, (route) => {
      const path = toPath(route);
      expect(parsePath(path)).toEqual(route);
      const { pathname } = new URL(`http://localhost/v2${path}`);
      expect(parsePath(pathname.slice('/v2'.length))).toEqual(route);
    }),
  );
});

test('any path is a route or none', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.webPath()), (path) => {
      const route = parsePath(path);
      if (route && route.kind === 'tags') expect(parsePath(toPath(route))).toEqual(route);
    }),
  );
});

describe('paths', () => {
  test.each<[string, Route | undefined]>([
    ['/', { kind: 'base' }],
    ['', { kind: 'base' }],
    ['/a/manifests/latest', { kind: 'manifest', name: 'a', reference: 'latest' }],
    [`/a/b/manifests/sha256%3A${hex}`, { kind: 'manifest', name: 'a/b', reference: digest }],
    [`/a/blobs/sha256%3a${hex}`, { kind: 'blob', name: 'a', digest }],
    ['/a/blobs/sha256:bad', { kind: 'blob', name: 'a', digest: 'sha256:bad' }],
    ['/a/blobs/uploads/', { kind: 'uploads', name: 'a' }],
    ['/a/blobs/uploads', { kind: 'uploads', name: 'a' }],
    ['/a/blobs/uploads/x%2Fy', { kind: 'upload', name: 'a', id: 'x/y' }],
    ['/a/tags/list', { kind: 'tags', name: 'a' }],
    ['/a/manifests/tags/list', { kind: 'tags', name: 'a/manifests' }],
    ['/blobs/uploads/manifests/x', { kind: 'manifest', name: 'blobs/uploads', reference: 'x' }],
    [`/a/referrers/${digest}`, { kind: 'referrers', name: 'a', digest }],
    ['/manifests/latest', undefined],
    ['/A/manifests/latest', undefined],
    ['/a%2Fb/manifests/latest', undefined],
    ['/a/../b/manifests/latest', undefined],
    ['/%2e%2e/manifests/latest', undefined],
    ['/a//b/manifests/latest', undefined],
    ['//manifests/latest', undefined],
    ['/a/manifests/', undefined],
    ['/a/manifests/x%2Fy', undefined],
    ['/a/manifests/%', undefined],
    ['/a/tags/', undefined],
    ['/a/blobs/uploads/..', undefined],
    ['/a', undefined],
    ['a/manifests/latest', undefined],
    ['/_catalog', { kind: 'catalog' }],
    ['/_catalog/', undefined],
  ])('%j', (path, route) => {
    expect(parsePath(path)).toEqual(route);
  });
});

test.each<Route>([
  { kind: 'manifest', name: 'a', reference: '../../x' },
  { kind: 'manifest', name: 'a', reference: 'x?y=z' },
  { kind: 'manifest', name: 'a', reference: '' },
  { kind: 'manifest', name: '../a', reference: 'x' },
  { kind: 'blob', name: 'a', digest: 'sha256:00' },
  { kind: 'referrers', name: 'a#b', digest },
  { kind: 'tags', name: '' },
  { kind: 'upload', name: 'a', id: '..' },
])('no path is made of %j', (route) => {
  expect(() => toPath(route)).toThrow(expect.objectContaining({ code: 'INVALID_REFERENCE' }));
});
