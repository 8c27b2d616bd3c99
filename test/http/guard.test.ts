import { expect, test } from 'vitest';
import { guard } from '../../src/http/guard.ts';
import { redirects } from '../../src/http/redirects.ts';
import { wrap } from '../../src/http/transport.ts';
import { createClient } from '../../src/remote/client.ts';
import { failsWith, failureOf, recording } from '../support/http.ts';

const targets = [
  'https://169.254.169.254/latest',
  'https://10.0.0.1/x',
  'https://127.0.0.1/x',
  'https://localhost/x',
  'https://[::1]/x',
  'https://[::ffff:a9fe:a9fe]/x',
  'https://2852039166/x',
];

test.each(targets)(
  'a redirect of a public host to %s does not reach a transport that checks nothing',
  async (target) => {
    const { transport, log } = recording(({ url }) =>
      url.startsWith('https://registry.test') ? { status: 307, headers: { location: target } } : { body: 'secret' },
    );
    const send = wrap(transport, redirects(), guard());
    const error = await failureOf(send({ method: 'GET', url: 'https://registry.test/v2/a' }));
    expect(error).toEqual(failsWith('UNSAFE_URL'));
    expect(log).toEqual(['GET https://registry.test/v2/a']);
  },
);

test('what the request allows is sent as it is', async () => {
  const { transport, requests } = recording(() => ({}));
  const send = guard()(transport);
  const allowed = [
    { method: 'GET', url: 'http://127.0.0.1:5000/v2/' },
    { method: 'GET', url: 'http://10.0.0.1/v2/', addresses: 'private' as const },
    { method: 'GET', url: 'https://8.8.8.8/', addresses: 'public' as const },
    { method: 'GET', url: 'https://storage.test/', addresses: 'public' as const },
  ];
  for (const request of allowed) await send(request);
  expect(requests).toEqual(allowed);
  const refused = send({ method: 'GET', url: 'http://169.254.169.254/', addresses: 'private' });
  expect(await failureOf(refused)).toEqual(failsWith('UNSAFE_URL'));
});

test('a client guards a transport of its user', async () => {
  const { transport, log } = recording(({ url }) => ({
    status: 307,
    headers: { location: url.includes('169.254') ? '/again' : 'https://169.254.169.254/latest' },
    address: '93.184.215.14',
  }));
  const client = createClient({ transport });
  const digest = `sha256:${'a'.repeat(64)}`;
  expect(await failureOf(client.resolve(`registry.test/app@${digest}`))).toEqual(failsWith('UNSAFE_URL'));
  expect(log.length).toBeGreaterThan(0);
  expect(log.filter((entry) => !entry.includes('https://registry.test/'))).toEqual([]);
  await client.close();
});
