import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import type { Config, TlsConfig } from '../../src/config/model.ts';
import { cannot } from '../../src/errors.ts';
import { isAllowed } from '../../src/http/address.ts';
import type { Transport } from '../../src/http/transport.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { atEnd, failsWith, failureOf, httpServer, httpsServer, type Loopback, recording } from '../support/http.ts';

const names = [
  { type: 2 as const, value: 'localhost' },
  { type: 7 as const, ip: '127.0.0.1' },
];

/** A certificate of localhost, or of an authority, signed by another one or by itself. */
async function made(name: string, { by, isAuthority = false }: { by?: Pair; isAuthority?: boolean } = {}) {
  const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    ...(by && { ca: by }),
    extensions: [
      { name: 'basicConstraints', cA: isAuthority, critical: true },
      ...(isAuthority
        ? [{ name: 'keyUsage' as const, keyCertSign: true, digitalSignature: true }]
        : [{ name: 'subjectAltName' as const, altNames: names }]),
    ],
  });
  return { cert, key };
}

type Pair = Awaited<ReturnType<typeof made>>;

const root = await made('root', { isAuthority: true });
const intermediate = await made('intermediate', { by: root, isAuthority: true });
const site = await made('site', { by: intermediate });
const other = await made('other', { isAuthority: true });
const stranger = await made('stranger', { by: other });
const person = await made('person');

const text = new TextEncoder().encode('a blob');
const blob = { mediaType: 'application/octet-stream', digest: digestOf(text), size: text.length };

/** A server that sends the blob, or who its client is, for which it has a certificate. */
async function storage({ cert, key }: Pair) {
  const clients: string[] = [];
  const server = await httpsServer({ cert, key, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    clients.push((request.socket as TLSSocket).getPeerCertificate().subject?.CN?.toString() ?? 'nobody');
    response.end(text);
  });
  return { ...server, clients };
}

/** A registry that redirects everything. */
const redirecting = (pair: Pair, target: Loopback) =>
  httpsServer(pair, (_request, response) => {
    response.writeHead(307, { location: `${target.url}/signed?key=value` }).end();
  });

/** Reads the blob from the registry with the settings of it, and of others by host. */
async function pulled(registry: Loopback, tls: TlsConfig, others: Config['registries'] = {}): Promise<string> {
  const host = new URL(registry.url).host;
  const client = createClient({
    config: { registries: { [host]: { origin: { url: registry.url, tls } }, ...others } },
    retries: { tries: 1 },
  });
  atEnd(() => client.close());
  const content = await client.fetcher(`${host}/a`).fetch(blob);
  return new TextDecoder().decode(await content.bytes());
}

const full = { ...site, cert: `${site.cert}\n${intermediate.cert}` };

test('storage that a registry redirects to may have a certificate of the same private authority', async () => {
  const target = await storage(full);
  const registry = await redirecting(full, target);
  expect(await pulled(registry, { ca: [root.cert] })).toBe('a blob');
});

test('storage gets no client certificate of the registry, and its certificate is checked though that of the registry is not', async () => {
  const target = await storage(full);
  const registry = await redirecting(full, target);
  expect(await pulled(registry, { ca: [root.cert], cert: person.cert, key: person.key })).toBe('a blob');
  expect(target.clients).toEqual(['nobody']);
  expect(await failureOf(pulled(registry, { insecureSkipVerify: true }))).toEqual(
    failsWith('UNAVAILABLE', { message: expect.stringContaining('not signed by a trusted authority') }),
  );
});

test.each<[string, (host: string, url: string) => Config['registries']]>([
  ['its own authority', (host) => ({ [host]: { origin: { tls: { ca: [other.cert] } } } })],
  ['no checking', (host, url) => ({ [host]: { origin: { url, tls: { insecureSkipVerify: true } } } })],
  ['a mirror of another registry there', (_, url) => ({ 'x.test': { mirrors: [{ url, tls: { ca: [other.cert] } }] } })],
])('the configuration of the storage applies to redirects: %s', async (_kind, entries) => {
  const target = await storage(stranger);
  const registry = await redirecting(full, target);
  await expect(pulled(registry, { ca: [root.cert] })).rejects.toThrow('not signed by a trusted authority');
  const secured = { ...target, url: target.url.replace('127.0.0.1', 'localhost') };
  const named = await redirecting(full, secured);
  const registries = entries(new URL(secured.url).host, secured.url);
  expect(await pulled(named, { ca: [root.cert] }, registries)).toBe('a blob');
});

test('the client certificate that is configured for the storage is shown to it', async () => {
  const target = await storage(full);
  const registry = await redirecting(full, target);
  const own = { cert: person.cert, key: person.key };
  const { host } = new URL(target.url);
  const others = { [host]: { origin: { url: target.url, tls: own } } };
  expect(await pulled(registry, { ca: [root.cert] }, others)).toBe('a blob');
  expect(target.clients).toEqual(['person']);
});

test.each([
  ['the root', full, root],
  ['an intermediate, whose root nobody knows', full, intermediate],
  ['an intermediate that the server does not send', site, intermediate],
  ["the server's own certificate, signed by another", site, site],
  ["the server's own certificate, signed by itself", person, person],
])('an authority may be %s', async (_kind, pair, authority) => {
  const server = await storage(pair);
  expect(await pulled(server, { ca: [authority.cert] })).toBe('a blob');
});

test('a certificate of an authority that is not configured is refused', async () => {
  const server = await storage(full);
  expect(new X509Certificate(site.cert).checkIssued(new X509Certificate(intermediate.cert))).toBe(true);
  expect(await failureOf(pulled(server, { ca: [other.cert, stranger.cert] }))).toEqual(failsWith('UNAVAILABLE'));
});

/** A registry that seems to be at a public address, or the given one, and redirects to storage, by a recording transport. */
function redirectingTo(target: string, addresses: { readonly registry?: string; readonly storage: string }) {
  return recording(({ url, addresses: policy, allowPrivate: ranges }) => {
    if (url.includes('registry.test')) {
      return { status: 307, headers: { location: target }, address: addresses.registry ?? '93.184.216.34' };
    }
    // As a transport that looks names up.
    if (!isAllowed(addresses.storage, { policy: policy ?? 'any', ranges })) {
      throw cannot('UNSAFE_URL', 'connect', addresses.storage, { reason: 'private-address' });
    }
    return { body: 'a blob', address: addresses.storage };
  }).transport;
}

async function fetched(transport: Transport, options: ClientOptions, descriptor: Descriptor = blob): Promise<string> {
  await using client = createClient({ ...options, transport });
  const content = await client.fetcher('registry.test/a').fetch(descriptor);
  return new TextDecoder().decode(await content.bytes());
}

const host = (allowPrivate: readonly string[]): ClientOptions => ({
  config: { registries: { 'registry.test': { origin: { allowPrivate } } } },
});

const allowing: readonly [string, ClientOptions][] = [
  ['an option, by name', { allowPrivate: ['s3.corp.test'] }],
  ['an option, by domain', { allowPrivate: ['.corp.test'] }],
  ['an option, by range', { allowPrivate: ['10.20.0.0/16'] }],
  ['an option, by address', { allowPrivate: ['10.20.0.5'] }],
  ['the configuration', { config: { allowPrivate: ['.corp.test'] } }],
  ['the configuration of the registry, by name', host(['s3.corp.test:9000'])],
  ['the configuration of the registry, by range', host(['10.0.0.0/8'])],
  ['the list for external URLs', { externalUrls: { allowPrivate: ['s3.corp.test'] } }],
];

test.each(allowing)('storage at a private address may be allowed by %s', async (_place, options) => {
  const transport = redirectingTo('https://s3.corp.test:9000/x', { storage: '10.20.0.5' });
  expect(await failureOf(fetched(transport, {}))).toEqual(failsWith('UNSAFE_URL', { reason: 'private-address' }));
  expect(await fetched(transport, options)).toBe('a blob');
});

test('what is allowed for one registry is not for another, and what is listed allows nothing else', async () => {
  const transport = redirectingTo('https://s3.corp.test/x', { storage: '10.20.0.5' });
  const config = { registries: { 'other.test': { origin: { allowPrivate: ['s3.corp.test'] } } } };
  const options = [
    { config },
    host(['10.21.0.0/16', 'corp.test', '.s3.corp.test']),
    { allowPrivate: ['s3.corp.test:9000'] },
  ];
  for (const one of options) expect(await failureOf(fetched(transport, one))).toEqual(failsWith('UNSAFE_URL'));
});

test('where every name leads to a made up address, storage may have one, but no private one', async () => {
  const registry = '198.18.0.7';
  const of = (target: string, storage: string, from?: string) =>
    fetched(redirectingTo(target, { storage, ...(from !== undefined && { registry: from }) }), {});
  expect(await of('https://s3.test/x', '198.19.3.4', registry)).toBe('a blob');
  expect(await failureOf(of('https://s3.test/x', '198.19.3.4'))).toEqual(failsWith('UNSAFE_URL'));
  expect(await failureOf(of('https://s3.test/x', '10.0.0.1', registry))).toEqual(failsWith('UNSAFE_URL'));
  expect(await failureOf(of('https://169.254.169.254/x', '169.254.169.254', registry))).toEqual(
    failsWith('UNSAFE_URL'),
  );
});

test('an external URL may lead to a made up address if all names so far did', async () => {
  const external = { ...blob, urls: ['https://files.test/x'] };
  const of = async (registry: string) => {
    const { transport } = recording(({ url, addresses: policy = 'any', allowPrivate: ranges }) => {
      if (url.includes('registry.test')) return { status: 404, address: registry };
      return isAllowed('198.18.0.9', { policy, ranges }) ? { body: 'a blob', address: '198.18.0.9' } : { status: 599 };
    });
    await using client = createClient({ transport });
    await failureOf(client.resolve('registry.test/a'));
    const content = await client.fetcher('registry.test/a').fetch(external);
    return new TextDecoder().decode(await content.bytes());
  };
  expect(await of('198.18.0.7')).toBe('a blob');
  expect(await failureOf(of('93.184.216.34'))).toEqual(expect.objectContaining({ name: 'RegistryError' }));
});

test('over a socket, a name of this machine is connected to if its address is listed', async () => {
  const server = await httpServer((_request, response) => response.end(text));
  const external = { ...blob, urls: [`http://localhost:${server.port}/x`] };
  const read = async (allowPrivate: readonly string[]) => {
    await using client = createClient({
      allowPrivate,
      config: { registries: { 'registry.test': { origin: 'never' } } },
    });
    const content = await client.fetcher('registry.test/a').fetch(external);
    return new TextDecoder().decode(await content.bytes());
  };
  expect(await read(['127.0.0.0/8', '::1'])).toBe('a blob');
  expect(await failureOf(read(['128.0.0.0/8', 'localhost:1']))).toEqual(
    failsWith('UNSAFE_URL', { message: expect.stringContaining('allowPrivate') }),
  );
});
