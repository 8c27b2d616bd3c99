import { expect, test } from 'vitest';
import { logLine, type ServedEvent } from '../../src/app/log.ts';

const now = new Date('2026-01-02T03:04:05.678Z');
const event: ServedEvent = {
  request: new Request('http://localhost:5000/v2/team/app/manifests/v1?token=secret', {
    headers: { 'user-agent': 'evil" \u{85}agent', authorization: 'Basic c2VjcmV0' },
  }),
  action: 'pull',
  repository: { registry: 'docker.io', name: 'team/app' },
  tag: 'v1',
  actor: 'joe doe',
  status: 200,
  bytes: 12_345,
  duration: 3.456,
  address: '10.0.0.1',
};

test('a line has time, address, user, request, status, bytes, duration and program, and no secret', () => {
  expect(logLine(event, 'text', now)).toBe(
    `2026-01-02T03:04:05.678Z 10.0.0.1 joe_doe GET /v2/team/app/manifests/v1?token=*** 200 12.3 kB 3 ms "evil' \u{fffd}agent"`,
  );
  const failed = { ...event, status: 502, actor: undefined, address: undefined, error: new Error('line\nbreak') };
  expect(logLine(failed, 'text', now)).toMatch(/^\S+ - - GET .* error: line\u{fffd}break$/u);
});

test('as JSON it is one line with the same facts', () => {
  const line = logLine({ ...event, error: Object.assign(new Error('no'), { code: 'NOT_FOUND' }) }, 'json', now);
  expect(line).not.toContain('secret');
  expect(JSON.parse(line)).toEqual({
    time: '2026-01-02T03:04:05.678Z',
    address: '10.0.0.1',
    method: 'GET',
    path: '/v2/team/app/manifests/v1?token=***',
    status: 200,
    bytes: 12_345,
    milliseconds: 3.5,
    action: 'pull',
    repository: 'team/app',
    registry: 'docker.io',
    tag: 'v1',
    user: 'joe doe',
    userAgent: 'evil" \u{fffd}agent',
    error: { code: 'NOT_FOUND', message: 'no' },
  });
});
