import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import type { Config, TlsConfig } from '../../src/config/model.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { createClient } from '../../src/remote/client.ts';
import { atEnd, failsWith, failureOf, httpsServer, type Loopback } from '../support/http.ts';

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
