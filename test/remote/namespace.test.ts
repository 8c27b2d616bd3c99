import { expect, test } from 'vitest';
import type { ClientEvent } from '../../src/events.ts';
import { createClient } from '../../src/remote/client.ts';
import { samples } from '../contract/source.ts';
import { type Answer, createHosts, sampleHost } from '../support/hosts.ts';
import { failsWith, failureOf } from '../support/http.ts';

const { descriptor } = samples.wide;

/** A client of one mirror, what it requests (as the queries of its URLs), and what it warns of. */
async function mirrored(answer: Answer, omitNamespace = false) {
  const hosts = createHosts({ 'mirror.test': answer });
  const warnings: string[] = [];
  const onEvent = (event: ClientEvent) => void (event.type === 'warning' && warnings.push(event.text));
  const mirror = { url: 'https://mirror.test', ...(omitNamespace && { omitNamespace }) };
  const config = { registries: { 'registry.test': { mirrors: [mirror], origin: 'never' as const } } };
  const client = createClient({ config, transport: hosts.transport, onEvent });
  const read = async (): Promise<string> => (await client.fetcher('registry.test/app').fetch(descriptor)).text();
  return { read, client, warnings, queries: () => hosts.requests.map(({ url }) => new URL(url).search) };
}

const refusing = async (): Promise<Answer> => {
  const healthy = await sampleHost();
  return (request) =>
    new URL(request.url).searchParams.has('ns') ? new Response('what is ns?', { status: 400 }) : healthy(request);
};

test('after a 400 the request is sent once without ns, and later ones are without it from the start', async () => {
  const { read, queries, warnings } = await mirrored(await refusing());
  expect(await read()).toBe('by sha512');
  expect(await read()).toBe('by sha512');
  expect(queries()).toEqual(['?ns=registry.test', '', '']);
  expect(warnings).toEqual(['it answers 400 to the parameter "ns", which is left out from now on: set omitNamespace']);
});

test('a 400 that has another cause is reported after one more request, and ns stays', async () => {
  const { read, queries, warnings } = await mirrored(() => new Response('no', { status: 400 }));
  expect(await failureOf(read())).toEqual(failsWith('BAD_RESPONSE', { status: 400 }));
  expect(queries()).toEqual(['?ns=registry.test', '']);
  await failureOf(read());
  expect(queries()).toEqual(['?ns=registry.test', '', '?ns=registry.test', '']);
  expect(warnings).toEqual([]);
});

test('the rest of a query stays as it is written', async () => {
  const first = { link: '</v2/app/tags/list?last=a%2Bb~&ns=registry.test&n=1>; rel="next"' };
  let pages = 0;
  const { client, queries } = await mirrored(({ url }) => {
    if (new URL(url).searchParams.has('ns')) return new Response('', { status: 400 });
    pages += 1;
    const headers = { 'content-type': 'application/json', ...(pages === 1 && first) };
    return new Response(JSON.stringify({ name: 'app', tags: [`t${pages}`] }), { headers });
  });
  expect(await client.fetcher('registry.test/app').tags()).toEqual(['t1', 't2']);
  expect(queries()).toEqual(['?ns=registry.test', '', '?last=a%2Bb~&n=1']);
});

test('with omitNamespace no ns is ever sent, and the plan has none', async () => {
  const { read, client, queries } = await mirrored(await refusing(), true);
  expect(await read()).toBe('by sha512');
  expect(queries()).toEqual(['']);
  expect(client.plan('registry.test/app').endpoints[0]).not.toHaveProperty('namespace');
});
