import { expect, test } from 'vitest';
import { basicAccess } from '../../../src/server/access/basic.ts';
import { ask, problemOf } from '../support.ts';

const handler = basicAccess({ realm: 'the "one"', users: { joe: 'se:cret', nobody: '' } })(
  async () => new Response('in'),
);
const header = (scheme: string, text: string) => `${scheme} ${Buffer.from(text).toString('base64')}`;

test.each([header('Basic', 'joe:se:cret'), header('basic ', 'joe:se:cret'), header('Basic', 'nobody:')])(
  'a user with the right password is let in: %s',
  async (authorization) => {
    expect(await (await handler(ask('GET /v2/', { headers: { authorization } }))).text()).toBe('in');
  },
);

test.each([
  undefined,
  header('Basic', 'joe:wrong'),
  header('Basic', 'joe'),
  header('Basic', 'constructor:x'),
  header('Bearer', 'joe:se:cret'),
  'Basic',
  'Basic ***',
])('anything else is challenged: %s', async (authorization) => {
  const response = await handler(ask('GET /v2/', authorization === undefined ? {} : { headers: { authorization } }));
  expect(response.headers.get('www-authenticate')).toBe('Basic realm="the \\"one\\"",charset="UTF-8"');
  expect(await problemOf(response)).toBe('401 UNAUTHORIZED');
});
