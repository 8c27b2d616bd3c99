import { expect, test } from 'vitest';
import { bytesBody } from '../../src/body.ts';
import { type ErrorBody, readErrorBody } from '../../src/http/error-body.ts';
import { keepSecret } from '../../src/redaction.ts';

const read = (text: string, type = 'application/json', status = 403): Promise<ErrorBody> =>
  readErrorBody(
    {
      status,
      headers: { 'content-type': type },
      body: bytesBody(new TextEncoder().encode(text)),
      url: 'https://a.test/v2/',
    },
    async (body) => body,
  );

const errors = (...list: unknown[]): string => JSON.stringify({ errors: list });

test.each([
  [errors({ code: 'DENIED', message: 'pay first' }), 'status 403, DENIED "pay first"', ['DENIED']],
  [errors({ code: 'A' }, { code: 'B', message: 'b' }), 'status 403, A, B "b"', ['A', 'B']],
  [errors({ code: 'no code' }, null, 5), 'status 403', []],
  ['{"error":"invalid_scope","error_description":"none"}', 'status 403, invalid_scope "none"', []],
  ['{"details":"wrong"}', 'status 403, "wrong"', []],
  ['{"message":"wrong"}', 'status 403, "wrong"', []],
  ['not JSON', 'status 403', []],
  ['"text"', 'status 403', []],
])('%s is reported as %s', async (text, found, registryErrors) => {
  expect(await read(text)).toEqual({ status: 403, found, registryErrors });
});

test('what a server says is one line, with other quotes, cut, and without the login that it repeats', async () => {
  const secret = `${crypto.randomUUID()}`;
  keepSecret(secret);
  const { found } = await read(
    errors({ code: 'DENIED', message: `a\r\n\u001b[31m"b" \u202e\u0085c ${'x'.repeat(180)}${secret}` }),
  );
  expect(found).toMatch(/^status 403, DENIED "a \[31m'b' c x{178,180}\*\*\*"$/);
  expect((await read(errors({ code: 'DENIED', message: 'x'.repeat(1_000) }))).found.length).toBeLessThan(250);
});

test('a plain text is quoted, on one line and cut; a page of HTML is not', async () => {
  const plain = async (text: string, type = 'text/plain; charset=utf-8') => (await read(text, type, 404)).found;
  expect(await plain('404 page\r\n "not" \u001b[31mfound\n')).toBe('status 404, "404 page \'not\' [31mfound"');
  expect((await plain('x'.repeat(5_000))).length).toBeLessThan(250);
  expect(await plain(' \n')).toBe('status 404');
  expect(await plain('<html>', 'text/html')).toBe('status 404');
});
