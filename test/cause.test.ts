import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { safeCause } from '../src/cause.ts';
import { keepSecret } from '../src/redaction.ts';

const secret = crypto.randomUUID();
keepSecret(secret);
const safe = (thrown: unknown): unknown => safeCause(thrown, () => false);
const whole = (value: unknown): string => inspect(value, { showHidden: true, depth: 20 });

test('a cause with nothing to remove stays the same object', () => {
  const system = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), {
    code: 'ECONNREFUSED',
    errno: -111,
    syscall: 'connect',
    address: '127.0.0.1',
    port: 1,
  });
  const wrapped = new TypeError('fetch failed', { cause: system });
  const several = new AggregateError([system, wrapped], 'all failed');
  for (const cause of [system, wrapped, several, { code: 'CONNECT_TIMEOUT' }, undefined, null, 5, 'text']) {
    expect(safe(cause)).toBe(cause);
  }
});

test('bytes of a response, certificates and other properties are removed; name, message, code and frames stay', () => {
  const parser = Object.assign(new Error('Response does not match the HTTP/1.1 protocol'), {
    code: 'HPE_INVALID_CHUNK_SIZE',
    data: Buffer.from(`{"token":"unknown"}`),
    [Symbol('raw')]: 'unknown',
    cert: { raw: Buffer.from('unknown') },
  });
  Object.defineProperty(parser, 'hidden', { value: 'unknown', enumerable: false });
  parser.name = 'HTTPParserError';
  const made = safe(parser) as NodeJS.ErrnoException;
  expect(made).toMatchObject({ name: 'HTTPParserError', message: parser.message, code: 'HPE_INVALID_CHUNK_SIZE' });
  expect(made.stack).toMatch(/^HTTPParserError: Response does not match.*\n {4}at .*cause\.test/);
  expect(whole(made)).not.toMatch(/unknown|data|raw|Buffer/);
});

test('a message, a fact and a stack with a secret are shown without it, however deep they are', () => {
  const inner = Object.assign(new Error(`${secret}\nforged`), { code: secret });
  for (const cause of [
    inner,
    new Error('outer', { cause: inner }),
    new AggregateError([new Error('a'), inner], 'all'),
    new Error('outer', { cause: `text ${secret}` }),
  ]) {
    expect(whole(safe(cause))).not.toContain(secret);
    expect(whole(safe(cause))).toContain('***');
    expect(whole(safe(cause))).not.toMatch(/^forged/m);
  }
});

test('the words of a parser are removed, as they quote what is parsed', () => {
  let thrown: unknown;
  try {
    JSON.parse('{"token": "unknown"]');
  } catch (error) {
    thrown = error;
  }
  expect(whole(safe(thrown))).not.toContain('unknown');
  expect(safe(thrown)).toMatchObject({ name: 'SyntaxError' });
});

test('a chain that leads to itself has an end', () => {
  const loop = new Error(secret);
  loop.cause = loop;
  expect(whole(safe(loop))).not.toContain(secret);
});
