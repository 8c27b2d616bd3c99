import type { IncomingMessage } from 'node:http';
import type { Fault } from 'ocifetch/testing';
import { expect, test } from 'vitest';
import { createScript, requestOf } from '../../src/testing/script.ts';

const digest = `sha256:${'a'.repeat(64)}`;

const requestFor = (line: string, headers: Record<string, string | string[]> = { host: 'one.test:5000' }) => {
  const [method, url] = line.split(' ');
  return requestOf({ method, url, headers } as unknown as IncomingMessage);
};

/** Which of these requests have a fault, by their number from 1. */
function met(fault: Fault, ...lines: readonly string[]): number[] {
  const script = createScript();
  script.add(fault);
  return lines.flatMap((line, index) => (script.faultOf(requestFor(line)) ? [index + 1] : []));
}

test.each([
  ['GET /v2/', { kind: 'base' }],
  ['GET /v2/_catalog?n=5', { kind: 'catalog' }],
  ['GET /v2/team/app/manifests/1.0', { kind: 'manifest', repository: 'team/app', reference: '1.0' }],
  [`GET /v2/team/app/blobs/${digest}?ns=docker.io`, { kind: 'blob', repository: 'team/app', reference: digest }],
  ['GET /v2/app/tags/list', { kind: 'tags', repository: 'app' }],
  [`GET /v2/app/referrers/${digest}`, { kind: 'referrers', repository: 'app', reference: digest }],
  ['POST /v2/app/blobs/uploads/', { kind: 'uploads', repository: 'app' }],
  ['PATCH /v2/app/blobs/uploads/17', { kind: 'upload', repository: 'app', reference: '17' }],
  ['GET /token?service=test', { kind: 'token' }],
  ['GET /v2/A/manifests/x', { kind: 'other' }],
  ['GET /', { kind: 'other' }],
])('it is known what a request is for: %s', (line, expected) => {
  const { kind, repository, reference, method, path } = requestFor(line);
  expect({ kind, repository, reference }).toEqual({ repository: undefined, reference: undefined, ...expected });
  expect(`${method} ${path}`).toBe(line);
});

const lines = [
  'HEAD /v2/team/app/manifests/1.0',
  'GET /v2/team/app/manifests/1.0',
  `GET /v2/team/app/blobs/${digest}`,
  'GET /v2/other/tags/list',
];

test.each<[fault: Fault, numbers: number[]]>([
  [{ status: 500 }, [1, 2, 3, 4]],
  [{ status: 500, cut: 0 }, [1, 2, 3, 4]],
  [{ cut: 3 }, [2, 3, 4]],
  [{ wrongBytes: 3 }, [2, 3, 4]],
  [{ cut: 'head' }, [1, 2, 3, 4]],
  [{ down: 5 }, [1, 2, 3, 4]],
  [{ method: 'HEAD', cut: 3 }, [1]],
  [{ method: ['HEAD', 'GET'], cut: 3 }, [1, 2, 3, 4]],
  [{ kind: 'manifest', status: 500 }, [1, 2]],
  [{ kind: ['tags', 'blob'], status: 500 }, [3, 4]],
  [{ repository: 'team/app', status: 500 }, [1, 2, 3]],
  [{ repository: /^team\//g, status: 500 }, [1, 2, 3]],
  [{ reference: '1.0', status: 500 }, [1, 2]],
  [{ reference: /^sha256:/, status: 500 }, [3]],
  [{ host: 'one.test', status: 500 }, [1, 2, 3, 4]],
  [{ host: 'one.test:5000', status: 500 }, [1, 2, 3, 4]],
  [{ host: 'two.test', status: 500 }, []],
  [{ when: ({ path }) => path.includes('tags'), status: 500 }, [4]],
  [{ nth: 2, status: 500 }, [2]],
  [{ nth: [1, 4], status: 500 }, [1, 4]],
  [{ nth: { from: 3 }, status: 500 }, [3, 4]],
  [{ nth: { to: 2 }, status: 500 }, [1, 2]],
  [{ nth: { from: 2, to: 3 }, status: 500 }, [2, 3]],
  [{ kind: 'blob', nth: 1, status: 500 }, [3]],
])('a fault is for the requests that fit all that is given: %o', (fault, numbers) => {
  expect(met(fault, ...lines)).toEqual(numbers);
});

test('the first fault of a script decides, and each counts all requests that fit it', () => {
  const script = createScript();
  const [first, second] = [
    { nth: 1, cut: 'head' },
    { nth: 2, status: 500 },
  ] as const;
  for (const fault of [first, second, { status: 400 }]) script.add(fault);
  const request = requestFor('GET /v2/');
  expect([1, 2, 3].map(() => script.faultOf(request))).toEqual([first, second, { status: 400 }]);
  script.clear();
  expect(script.faultOf(request)).toBeUndefined();
});
