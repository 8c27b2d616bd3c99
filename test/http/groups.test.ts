import dns from 'node:dns';
import tls from 'node:tls';
import { inspect } from 'node:util';
import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import { RegistryError } from '../../src/errors.ts';
import type { Connections } from '../../src/http/connect.ts';
import { createGroups } from '../../src/http/groups.ts';
import { undiciTransport } from '../../src/http/undici.ts';
import { certificate } from '../server/certificate.ts';
import { atEnd, failsWith, failureOf, httpsServer, textOf } from '../support/http.ts';

const modules = { undici: await import('undici'), dns, tls, trusted: () => [] };

/** As many kinds of connections as wanted, which all work. */
const kind = (index: number): Connections => ({
  policy: 'any',
  tls: { ca: [certificate.cert + '\n'.repeat(index)] },
  proxy: undefined,
});

/** At most two kinds, and a server that answers `/slow` when told. */
async function world() {
  let finish = (): void => {};
  const server = await httpsServer(certificate, (request, response) => {
    response.write('first');
    if (request.url === '/slow') finish = () => response.end('last');
    else response.end('last');
  });
  const groups = createGroups(2);
  atEnd(() => groups.destroy(new RegistryError('CLOSED', 'the test is over')));
  const ask = async (index: number): Promise<string> => {
    const { group, release } = groups.use(modules, kind(index), 'host');
    const { body } = await group.agent.request({ origin: server.url, path: '/', method: 'GET' });
    return body.text().finally(release);
  };
  /** The body of an answer under way. */
  const slow = (index: number) => {
    const { group, release } = groups.use(modules, kind(index), 'host');
    const answer = group.agent.request({ origin: server.url, path: '/slow', method: 'GET' });
    return answer.then(({ body }) => ({ text: failureOr(body.text().finally(release)) }));
  };
  return { server, groups, ask, slow, finish: () => finish() };
}

const failureOr = (text: Promise<string>): Promise<unknown> => text.catch((error: unknown) => error);

test('of three kinds where two are kept the one unused for longest ends, after what is under way in it', async () => {
  const { server, ask, slow, finish } = await world();
  const { text } = await slow(0);
  const left = server.closed();
  for (const index of [1, 2, 1, 2]) expect(await ask(index)).toBe('firstlast');
  expect(server.connections()).toBe(3);
  finish();
  expect(await text).toBe('firstlast');
  await left;
  expect(await ask(0)).toBe('firstlast');
  expect(server.connections()).toBe(4);
  expect(await ask(2), 'asked for after the first').toBe('firstlast');
  expect(server.connections()).toBe(4);
});

test('a kind that is let go of while nobody uses it ends at once', async () => {
  const { server, ask } = await world();
  await ask(0);
  await ask(1);
  const left = server.closed();
  await ask(2);
  await left;
});

test('to destroy them ends also what is under way in a kind that was let go of', async () => {
  const { groups, ask, slow } = await world();
  const { text } = await slow(0);
  for (const index of [1, 2]) await ask(index);
  const reason = new RegistryError('CLOSED', 'enough');
  await groups.destroy(reason);
  expect(await text).toBe(reason);
});

test('TLS settings that cannot be used are INVALID_CONFIG for that host, without a word of the key', async () => {
  const server = await httpsServer(certificate, (_request, response) => response.end('text'));
  const other = await generate([{ name: 'commonName', value: 'other' }], { keyType: 'ec', algorithm: 'sha256' });
  const transport = undiciTransport();
  atEnd(() => transport.close());
  const { cert, key } = certificate;
  const ca = [cert];
  for (const [tls, setting] of [
    [{ ca, cert, key: other.private }, 'tls.key'],
    [{ ca, cert: 'garbage', key }, 'tls.cert'],
    [{ ca: ['garbage'] }, 'tls.ca[0]'],
  ] as const) {
    const error = await failureOf(transport({ method: 'GET', url: server.url, tls }));
    expect(error).toEqual(failsWith('INVALID_CONFIG', { host: new URL(server.url).host }));
    expect(String(error)).toContain(`Cannot connect to "127.0.0.1:${server.port}" with ${setting}: `);
    const secret = other.private.split(/\r?\n/)[1] ?? '';
    expect(secret.length).toBeGreaterThan(20);
    expect(inspect(error, { depth: 9 })).not.toContain(secret);
  }
  expect(await textOf(await transport({ method: 'GET', url: server.url, tls: { ca, cert, key } }))).toBe('text');
});
