import { expect, test } from 'vitest';
import { RegistryError } from '../../../src/errors.ts';
import type { WireSettings } from '../../../src/http/socket/connect.ts';
import { type SocketConnection, writeRequest } from '../../../src/http/socket/connection.ts';
import { createSocketPools } from '../../../src/http/socket/pool.ts';
import { certificate } from '../../server/certificate.ts';
import { atEnd, failureOf, httpsServer } from '../../support/http.ts';

/** As many kinds of connections as wanted, which all work. */
const kind = (index: number): WireSettings => ({ policy: 'any', tls: { ca: [certificate.cert + '\n'.repeat(index)] } });

/** At most two pools, and a server that ends `/slow` when `finish` is called. */
async function world() {
  let finish = (): void => {};
  const server = await httpsServer(certificate, (request, response) => {
    response.write('first');
    if (request.url === '/slow') finish = () => response.end('last');
    else response.end('last');
  });
  const pools = createSocketPools(2);
  atEnd(async () => pools.destroy(new RegistryError('CLOSED', 'the test is over')));
  const begin = async (index: number, path = '/') => {
    const pool = pools.use(kind(index), 'host');
    const url = new URL(path, server.url);
    const { signal } = new AbortController();
    const connection: SocketConnection =
      pool.take(url.origin) ?? (await pool.connect(url.origin, { url, limit: 5_000, signal }));
    return connection.send(writeRequest({ method: 'GET', url: url.href }, url));
  };
  const rest = async (arriving: ReturnType<typeof begin>): Promise<string> => {
    const { feed } = await arriving;
    let text = '';
    for (let chunk = await feed.next(); chunk; chunk = await feed.next()) text += Buffer.from(chunk).toString();
    return text;
  };
  return { server, pools, begin, rest, ask: (index: number) => rest(begin(index)), finish: () => finish() };
}

test('of three pools of which two are kept the one unused for longest ends, after its exchanges', async () => {
  const { server, ask, begin, rest, finish } = await world();
  const slow = begin(0, '/slow');
  await slow;
  for (const index of [1, 2, 1, 2]) expect(await ask(index)).toBe('firstlast');
  expect(server.connections()).toBe(3);
  const left = server.closed();
  finish();
  expect(await rest(slow)).toBe('firstlast');
  await left;
  for (const index of [0, 2]) expect(await ask(index)).toBe('firstlast');
  expect(server.connections(), 'only the first was dropped').toBe(4);
});

test('a pool that is dropped while it is not in use ends at once', async () => {
  const { server, ask } = await world();
  await ask(0);
  await ask(1);
  const left = server.closed();
  await ask(2);
  await left;
});

test('destroying them also ends the exchanges of a dropped pool, with the reason', async () => {
  const { pools, ask, begin, rest } = await world();
  const slow = begin(0, '/slow');
  await slow;
  for (const index of [1, 2]) await ask(index);
  const reason = new RegistryError('CLOSED', 'enough');
  pools.destroy(reason);
  expect(await failureOf(rest(slow))).toBe(reason);
});
