import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type Certificate, type KeyType, selfSigned } from './certificates.ts';
import type { Cleanup } from './cleanup.ts';

export interface TokenServer {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** PEM file of the certificate that signs. */
  readonly cert: string;
  /** Requests, without credentials: `GET repository:team/app:pull as user`. */
  readonly requests: string[];
}

const service = 'interop registry';
const issuer = 'interop tokens';
const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** `repository:name:pull,push` as the claim of a token. */
function accessOf(scope: string): { type: string; name: string; actions: string[] } {
  const [type = '', ...rest] = scope.split(':');
  const actions = rest.pop() ?? '';
  return { type, name: rest.join(':'), actions: actions.split(',') };
}

async function createSigner({ key, cert }: Certificate, type: KeyType): Promise<(claims: object) => string> {
  const privateKey = createPrivateKey(await readFile(key));
  const chain = [new X509Certificate(await readFile(cert)).raw.toString('base64')];
  const header = encode({ typ: 'JWT', alg: type === 'RSA' ? 'RS256' : 'ES256', x5c: chain });
  return (claims) => {
    const text = `${header}.${encode(claims)}`;
    // JWS requires r and s concatenated, not the DER that openssl writes.
    const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  };
}

/** A token server for one user: it accepts GET with Basic and refuses everything else. Tokens are valid for five minutes. */
export async function startTokenServer(
  cleanup: Cleanup,
  type: KeyType,
  { username, password }: { username: string; password: string },
): Promise<TokenServer> {
  const certificate = await selfSigned(await cleanup.folder(), 'tokens', type);
  const signed = await createSigner(certificate, type);
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const scopes = url.searchParams.getAll('scope');
    const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    const known = request.headers.authorization === basic && url.searchParams.get('service') === service;
    requests.push(`${request.method} ${scopes.join(' ')} as ${known ? username : 'nobody'}`);
    if (!known || request.method !== 'GET') {
      response.writeHead(known ? 405 : 401).end();
      return;
    }
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer,
      aud: service,
      sub: username,
      nbf: now - 10,
      iat: now,
      exp: now + 300,
      jti: randomUUID(),
    };
    const token = signed({ ...claims, access: scopes.flatMap((scope) => scope.split(' ')).map(accessOf) });
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ token, expires_in: 300, issued_at: new Date().toISOString() }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup.add(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return { realm: `http://127.0.0.1:${port}/token`, service, issuer, cert: certificate.cert, requests };
}
