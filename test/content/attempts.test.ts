import { expect, test } from 'vitest';
import { createFailures, createHosts, withAttempt } from '../../src/content/attempts.ts';
import { cannot, type ErrorCode, RegistryError } from '../../src/errors.ts';

const failuresOf = (codes: readonly ErrorCode[]) => {
  const failures = createFailures();
  for (const [index, code] of codes.entries()) failures.add(new RegistryError(code, `break ${index}`));
  return failures;
};

test('the first five and the last five are remembered, and the number of the others is reported', () => {
  const error = failuresOf(Array(5_000).fill('UNAVAILABLE')).combined('read "x"');
  const shown = [0, 1, 2, 3, 4, 4995, 4996, 4997, 4998, 4999].map((index) => `break ${index}`).join('; ');
  expect(error.message).toBe(`Cannot read "x": ${shown}; and 4990 more failures`);
  expect(failuresOf(Array(10).fill('TIMEOUT')).combined('it').message).not.toContain('more');
});

test('one between that got furthest is remembered, too, so that the error has its code', () => {
  const codes = Array<ErrorCode>(100).fill('UNAVAILABLE');
  codes[50] = 'BAD_RESPONSE';
  const failures = failuresOf(codes);
  expect([failures.combined('it').code, failures.all().length, failures.last?.message]).toEqual([
    'BAD_RESPONSE',
    11,
    'break 99',
  ]);
});

test('a host that gives nothing, or breaks off twice, is contacted last; one that sends too much is not contacted', () => {
  const hosts = createHosts({ last: ['liar'], except: ['excluded'] });
  hosts.serves('a', 10);
  hosts.recordBreak('a', 10);
  expect([hosts.last, hosts.except]).toEqual([['liar'], ['excluded']]);
  hosts.recordBreak('b', 0);
  hosts.serves('a', 20);
  hosts.recordBreak('a', 10);
  expect(hosts.last).toEqual(['liar', 'b', 'a']);
  hosts.exclude('b');
  expect([hosts.except, hosts.end]).toEqual([['excluded', 'b'], 20]);
});

test('the hosts that served are in the order of their latest bytes, after those of what was read before', () => {
  const served = new Set(['earlier']);
  const hosts = createHosts({ served });
  for (const host of ['a', 'b', 'a']) hosts.serves(host, 1);
  expect([...hosts.served]).toEqual(['earlier', 'b', 'a']);
  expect(hosts.served).toBe(served);
});

test('an error names the host that was contacted, besides another one that it led to', () => {
  const endpoint = { url: 'https://registry.example/v2', repository: 'app', scopes: [], capabilities: [] };
  const sent = { endpoint, method: 'GET', url: 'https://registry.example/v2/app/blobs/x', started: 0 };
  const message = (error: RegistryError): string => withAttempt(error, sent, 0).message;
  const elsewhere = cannot('UNAVAILABLE', 'reach "https://cdn.example/x"', 'ECONNREFUSED', { host: 'cdn.example' });
  expect(message(elsewhere)).toBe('Cannot reach "https://cdn.example/x": ECONNREFUSED (registry.example)');
  const here = cannot('DENIED', 'get "https://registry.example/x"', 'status 403', { host: 'registry.example' });
  expect(message(here)).toBe('Cannot get "https://registry.example/x": status 403');
  expect(message(new RegistryError('UNAVAILABLE', 'my transport failed'))).toBe(
    'my transport failed (registry.example)',
  );
});
