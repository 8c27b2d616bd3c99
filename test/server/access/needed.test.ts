import { expect, test } from 'vitest';
import { formatScope } from '../../../src/oci/scope.ts';
import { accessOf, covers } from '../../../src/server/access/needed.ts';
import { samples } from '../../contract/source.ts';
import { ask } from '../support.ts';

const { digest } = samples.large.descriptor;

test.each<readonly [line: string, ...scopes: string[]]>([
  ['GET /v2/'],
  ['GET /v2'],
  ['PUT /v2/'],
  ['GET /v2/_catalog', 'registry:catalog:*'],
  ['GET /v2/a/b/manifests/latest', 'repository:a/b:pull'],
  ['HEAD /v2/a/b/manifests/latest', 'repository:a/b:pull'],
  [`GET /v2/a/b/blobs/${digest}`, 'repository:a/b:pull'],
  ['GET /v2/a/b/tags/list', 'repository:a/b:pull'],
  [`GET /v2/a/b/referrers/${digest}`, 'repository:a/b:pull'],
  ['GET /v2/a/b/blobs/uploads/one', 'repository:a/b:pull'],
  ['POST /v2/a/b/blobs/uploads/', 'repository:a/b:pull,push'],
  ['PATCH /v2/a/b/blobs/uploads/one', 'repository:a/b:pull,push'],
  ['PUT /v2/a/b/manifests/latest', 'repository:a/b:pull,push'],
  ['DELETE /v2/a/b/manifests/latest', 'repository:a/b:delete'],
  [`DELETE /v2/a/b/blobs/${digest}`, 'repository:a/b:delete'],
  ['DELETE /v2/a/b/blobs/uploads/one', 'repository:a/b:delete'],
  [`POST /v2/a/b/blobs/uploads/?mount=${digest}&from=c/d`, 'repository:a/b:pull,push', 'repository:c/d:pull'],
  [`POST /v2/a/b/blobs/uploads/?mount=${digest}&from=a/b`, 'repository:a/b:pull,push'],
  [`POST /v2/a/b/blobs/uploads/?mount=${digest}&from=C`, 'repository:a/b:pull,push'],
  [`POST /v2/a/b/blobs/uploads/?mount=${digest}`, 'repository:a/b:pull,push'],
  ['OPTIONS /v2/a/b/manifests/latest'],
  ['PROPFIND /v2/a/b/manifests/latest'],
  ['constructor /v2/a/b/manifests/latest'],
  ['GET /v2x/a/b/manifests/latest'],
  ['GET /other'],
])('%s needs %s %s', (line, ...scopes) => {
  expect(accessOf(ask(line)).map(formatScope)).toEqual(scopes);
});

test('a prefix is before the root of the API, and only there', () => {
  const needed = (path: string) => accessOf(ask(`GET ${path}`), '/team').map(formatScope);
  expect(needed('/team/v2/a/manifests/b')).toEqual(['repository:a:pull']);
  expect(needed('/v2/a/manifests/b')).toEqual([]);
});

test('a star covers every action, but not another name or type', () => {
  const granted = [{ type: 'repository', name: 'a', actions: ['*'] }];
  const scope = (type: string, name: string) => ({ type, name, actions: ['pull', 'delete'] });
  expect(covers(granted, scope('repository', 'a'))).toBe(true);
  expect(covers(granted, scope('repository', 'ab'))).toBe(false);
  expect(covers(granted, scope('registry', 'a'))).toBe(false);
  expect(covers([{ type: 'repository', name: 'a', actions: ['pull'] }], scope('repository', 'a'))).toBe(false);
  expect(covers([], { type: 'repository', name: 'a', actions: [] })).toBe(true);
});
