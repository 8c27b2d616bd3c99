import type { ServerEvent } from 'ocifetch/server';
import { expect, test } from 'vitest';
import { createStatistics } from '../../src/app/statistics.ts';

const repository = (name: string) => ({ registry: 'localhost', name });

function ended(path: string, facts: Partial<ServerEvent> = {}, init: RequestInit = {}): ServerEvent {
  const request = facts.request ?? new Request(`http://localhost:5000${path}`, init);
  return { request, action: 'pull', status: 200, bytes: 0, duration: 1, ...facts };
}

test('requests are counted from their beginning to the end of their response', () => {
  let time = 1_000_000;
  const statistics = createStatistics({ now: () => time });
  const request = new Request('http://localhost:5000/v2/team/app/blobs/sha256:aa?digest=x', {
    headers: { 'user-agent': 'docker/1' },
  });
  statistics.begin(request, '10.0.0.1');
  time += 3_000;
  expect(statistics.traffic()).toMatchObject({
    active: 1,
    requests: 0,
    oldest: [{ method: 'GET', userAgent: 'docker/1', address: '10.0.0.1', since: 1_000_000 }],
  });
  statistics.end(ended('', { request, bytes: 500, repository: repository('team/app') }));
  expect(statistics.traffic()).toMatchObject({
    active: 0,
    oldest: [],
    requests: 1,
    failed: 0,
    sent: 500,
    repositories: [{ name: 'team/app', requests: 1, bytes: 500, last: 1_003_000 }],
  });
  statistics.begin(request);
  statistics.forget(request);
  expect(statistics.active).toBe(0);
  expect(statistics.traffic().requests).toBe(1);
});

test('a failure is what a user would look for, not what clients do before they push or log in', () => {
  const statistics = createStatistics();
  const found = { error: new Error('no such thing') };
  statistics.end(ended('/v2/a/blobs/x', { status: 404, ...found }, { method: 'HEAD' }));
  statistics.end(ended('/v2/', { status: 401, ...found }));
  expect(statistics.traffic()).toMatchObject({ requests: 2, failed: 0, errors: [] });
  statistics.end(ended('/v2/a/manifests/x', { status: 404, ...found }));
  statistics.end(ended('/v2/a/manifests/x', { status: 404, ...found }));
  statistics.end(ended('/v2/', { status: 401 }, { headers: { authorization: 'Basic c2VjcmV0' } }));
  statistics.end(ended('/v2/a/blobs/y', { status: 200, error: new Error('broken off') }));
  const { failed, errors } = statistics.traffic();
  expect(failed).toBe(4);
  expect(errors.map(({ status, found: text, count }) => [status, text, count])).toEqual([
    [200, 'broken off', 1],
    [401, '', 1],
    [404, 'no such thing', 2],
  ]);
});

test('what is pushed counts with its size', () => {
  const statistics = createStatistics();
  const descriptor = { mediaType: 'a/b', digest: `sha256:${'0'.repeat(64)}` as const, size: 700 };
  statistics.end(ended('/v2/a/manifests/x', { action: 'push', status: 201, descriptor }));
  statistics.end(ended('/v2/a/manifests/x', { action: 'push', status: 400, descriptor }));
  expect(statistics.traffic().pushed).toBe(700);
});

test('any number of requests for different names leaves a bounded number of each kind', () => {
  const statistics = createStatistics();
  for (let number = 0; number < 3_000; number++) {
    const request = new Request(`http://localhost:5000/v2/r${number}/manifests/${'x'.repeat(5_000)}`);
    statistics.begin(request);
    statistics.end(ended('', { request, status: 500, repository: repository(`r${number}`) }));
    const found = ended('/v2/', { repository: repository(`r${number}`) });
    statistics.begin(found.request);
    statistics.end(found);
  }
  for (let number = 0; number < 1_500; number++) statistics.begin(new Request('http://localhost:5000/v2/'));
  const { repositories, errors, oldest, active } = statistics.traffic();
  expect(repositories.length).toBe(1_000);
  expect(repositories[0]?.name).toBe('r2999');
  expect(errors.length).toBe(50);
  expect(errors[0]?.path.length).toBe(300);
  expect(oldest.length).toBe(20);
  expect(active).toBe(1_500);
});

test('a repository that is only asked for, and does not exist, is not remembered', () => {
  const statistics = createStatistics();
  statistics.end(ended('/v2/made/up/manifests/x', { status: 404, repository: repository('made/up') }));
  expect(statistics.traffic().repositories).toEqual([]);
});

test('the history has a column for five seconds, empty where nothing happened, also after a long pause', () => {
  let time = 10_000_000_000;
  const statistics = createStatistics({ now: () => time });
  const bytes = () => statistics.traffic().history.bytes;
  statistics.end(ended('/', { bytes: 7 }));
  expect(bytes()).toHaveLength(60);
  expect(bytes().at(-1)).toBe(7);
  time += 10_000;
  statistics.end(ended('/', { bytes: 9 }));
  statistics.end(ended('/', { bytes: 1 }));
  expect(bytes().slice(-3)).toEqual([7, 0, 10]);
  expect(statistics.traffic().history.requests.slice(-3)).toEqual([1, 0, 2]);
  time -= 100_000;
  expect(bytes().slice(-3)).toEqual([7, 0, 10]);
  time += 400_000;
  expect(bytes().every((sent) => sent === 0)).toBe(true);
});
