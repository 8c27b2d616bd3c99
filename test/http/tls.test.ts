import { createPrivateKey } from 'node:crypto';
import { inspect } from 'node:util';
import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import type { TlsOptions } from '../../src/endpoint.ts';
import { tlsProblems } from '../../src/http/tls.ts';
import { createClient } from '../../src/remote/client.ts';
import { certificate } from '../server/certificate.ts';

const { cert, key } = certificate;
const { private: otherKey } = await generate([{ name: 'commonName', value: 'other' }], { keyType: 'ec' });
const garbage = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const encrypted = createPrivateKey(key).export({
  type: 'pkcs8',
  format: 'pem',
  cipher: 'aes-256-cbc',
  passphrase: 'word',
});

test.each<[string, TlsOptions]>([
  ['nothing', {}],
  ['no checking', { insecureSkipVerify: true }],
  ['no authorities', { ca: [] }],
  ['an authority', { ca: [cert] }],
  ['several in one text, and words between them', { ca: [`# one\n${cert}\n# two\n${cert}`] }],
  ['one that is marked as trusted', { ca: [cert.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE')] }],
  ['with the line ends of Windows', { ca: [cert.replaceAll('\n', '\r\n')] }],
  ['a client certificate and its key', { cert, key }],
  ['both in one text', { cert: `${key}\n${cert}`, key: `${key}\n${cert}` }],
])('%s can be used', (_kind, tls) => {
  expect(tlsProblems(tls)).toEqual([]);
});

test.each<[string, TlsOptions, string, string]>([
  ['an authority that is garbage', { ca: [cert, garbage] }, 'ca[1]', 'certificate 1 of 1 in it cannot be read'],
  ['garbage after a good one', { ca: [cert + garbage] }, 'ca[0]', 'certificate 2 of 2 in it cannot be read'],
  ['an authority without its end', { ca: [cert.slice(0, 200)] }, 'ca[0]', 'a certificate in it has no end'],
  ['a key for an authority', { ca: [key] }, 'ca[0]', 'there is no certificate in it'],
  ['a certificate that is garbage', { cert: garbage, key }, 'cert', 'no certificate can be read from it'],
  ['a key for a certificate', { cert: key, key }, 'cert', 'no certificate can be read from it'],
  ['a key that is garbage', { cert, key: garbage }, 'key', 'no private key can be read from it'],
  ['an encrypted key', { cert, key: String(encrypted) }, 'key', 'it is not one, or it is encrypted'],
  ['a key of another certificate', { cert, key: otherKey }, 'key', 'it is not the key of the certificate in cert'],
  ['a certificate alone', { cert }, 'cert', 'it has no key beside it'],
  ['a key alone', { key }, 'key', 'it has no cert beside it'],
])('%s is reported with its setting, without any part of it', (_kind, tls, setting, found) => {
  const problems = tlsProblems(tls);
  expect(problems).toMatchObject([{ setting, found: expect.stringContaining(found) }]);
  const lines = [cert, key, otherKey, garbage].flatMap((pem) => pem.split(/\r?\n/).filter((line) => /^\w+/.test(line)));
  const reported = inspect(problems, { depth: 9 });
  expect(lines.filter((line) => reported.includes(line))).toEqual([]);
});

test('all problems are reported at once, and none about the counterpart of an unreadable part', () => {
  const problems = tlsProblems({ ca: [garbage, cert, garbage], cert: garbage, key: garbage });
  expect(problems.map(({ setting }) => setting)).toEqual(['ca[0]', 'ca[2]', 'cert', 'key']);
  expect(tlsProblems({ cert }, { isWhole: false })).toEqual([]);
});

test('a client is not made with TLS settings that cannot be used: the error has the key path', () => {
  const made = (tls: TlsOptions) => () =>
    createClient({ config: { registries: { x: { mirrors: [{ url: 'https://m.test', tls }] } } } });
  const path = 'registries["x"].mirrors[0].tls';
  for (const [tls, setting] of [
    [{ ca: [garbage] }, 'ca[0]'],
    [{ cert: garbage, key }, 'cert'],
    [{ cert, key: garbage }, 'key'],
    [{ cert, key: otherKey }, 'key'],
  ] as const) {
    expect(made(tls)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
    expect(made(tls)).toThrow(`Cannot use config: ${path}.${setting}: its text: `);
  }
  expect(made({ ca: [cert], cert, key })).not.toThrow();
});
