import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { generate } from 'selfsigned';
import { type AccessCheck, controlAccess } from '../../../src/server/access/check.ts';
import { listen } from '../../../src/server/listen.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import { filledRegistry } from '../support.ts';

export const service = 'registry.test';
export const issuer = 'auth.test';
export const realm = 'https://auth.test/token';

/** A registry with `library/app` on a socket, behind a check. */
export async function guarded(check: AccessCheck) {
  const reported: unknown[] = [];
  const control = controlAccess(check, { onError: (error) => reported.push(error) });
  const server = await listen(control(serve((await filledRegistry()).registry)));
  const ask = async (line: string, authorization?: string, headers: Record<string, string> = {}) => {
    const [method = 'GET', path = '/'] = line.split(' ');
    const sent = { ...headers, ...(authorization === undefined ? {} : { authorization }) };
    const response = await fetch(`${server.url}${path}`, { method, headers: sent });
    const challenge = response.headers.get('www-authenticate') ?? '';
    const error = /error="([^"]*)"/.exec(challenge)?.[1];
    return { status: response.status, challenge, error, text: await response.text() };
  };
  return { ask, server, reported, [Symbol.asyncDispose]: server.close };
}

export const pull = 'HEAD /v2/library/app/manifests/latest';
export const access = [{ type: 'repository', name: 'library/app', actions: ['pull'] }];

export const ecKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

const seconds = () => Math.floor(Date.now() / 1_000);

/** A token that is right, but for what is changed. */
export const tokenOf = (
  key: KeyObject,
  header: Readonly<Record<string, unknown>> = {},
  claims: Readonly<Record<string, unknown>> = {},
): Promise<string> =>
  new SignJWT({
    iss: issuer,
    aud: service,
    sub: 'ann',
    exp: seconds() + 300,
    nbf: seconds(),
    iat: seconds(),
    jti: 'one',
    access,
    ...claims,
  })
    .setProtectedHeader({ alg: key.asymmetricKeyType === 'ed25519' ? 'EdDSA' : 'ES256', ...header })
    .sign(key);

/** Seconds from now, as claims have them. */
export const inSeconds = (count: number): number => seconds() + count;

interface MadeCertificate {
  readonly pem: string;
  readonly keyPem: string;
  readonly key: KeyObject;
  /** As `x5c` has it. */
  readonly der: string;
}

/** A certificate, of itself or of another one. */
export async function certificateOf(
  name: string,
  { by, cA = false, until }: { readonly by?: MadeCertificate; readonly cA?: boolean; readonly until?: Date } = {},
): Promise<MadeCertificate> {
  const { cert, private: keyPem } = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - 86_400_000),
    notAfterDate: until ?? new Date(Date.now() + 86_400_000),
    extensions: [{ name: 'basicConstraints', cA, critical: true }],
    ...(by && { ca: { key: by.keyPem, cert: by.pem } }),
  });
  const der = cert.replace(/-----[^-]*-----|\s/g, '');
  return { pem: cert, keyPem, key: createPrivateKey(keyPem), der };
}
