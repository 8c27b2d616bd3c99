import { expect, test } from 'vitest';
import { parseHtpasswd } from '../../../src/server/htpasswd/parse.ts';

const hash = (kind: string, cost = '10') => `$2${kind}$${cost}$${'A'.repeat(53)}`;

test('names and hashes of bcrypt are read, with comments, empty lines and line ends of Windows', () => {
  const text = `# users\r\n\r\nann:${hash('a')}\r\n  bob:${hash('b')}  \ncarol:${hash('y', '05')}\nann:${hash('y', '12')}`;
  expect([...parseHtpasswd(text, 'users')]).toEqual([
    ['ann', hash('y', '12')],
    ['bob', hash('b')],
    ['carol', hash('y', '05')],
  ]);
  expect(parseHtpasswd('', 'users').size).toBe(0);
});

test.each([
  ['ann:$apr1$canary-1$abc', 'a hash of MD5 (apr1)'],
  ['ann:{SHA}canary-1', 'a hash of SHA-1'],
  ['ann:$6$canary-1', 'a hash of SHA-512'],
  ['ann:$2x$05$canary-1', 'the bcrypt of a broken release'],
  ['ann:canary-1', 'no hash of bcrypt'],
  ['ann:', 'no hash of bcrypt'],
  ['canary-1', 'a line that is not NAME:HASH'],
  [`:${hash('a')}`, 'a line that is not NAME:HASH'],
  [`ann:${hash('a')}x`, 'no hash of bcrypt'],
  [`ann:${hash('a', '31')}`, 'a cost of 31, expected 4 to 16'],
  [`ann:${hash('a', '03')}`, 'a cost of 3, expected 4 to 16'],
])('%s is refused with its line, and without what is in it', (line, said) => {
  const problem = { file: 'users', line: 2, found: expect.stringContaining(said) };
  try {
    parseHtpasswd(`ok:${hash('a')}\n${line}\n`, 'users');
    expect.unreachable();
  } catch (error) {
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', problems: [problem] });
    expect(String(error)).not.toContain('canary');
  }
});

test('of a file of nothing else, the first twenty problems are listed', () => {
  expect(() => parseHtpasswd('x\n'.repeat(100_000), 'users')).toThrow(
    expect.objectContaining({ problems: expect.objectContaining({ length: 20 }) }),
  );
});
