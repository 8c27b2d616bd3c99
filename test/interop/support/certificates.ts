import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './process.ts';

export interface Certificate {
  /** Paths of PEM files. */
  readonly key: string;
  readonly cert: string;
}

export type KeyType = 'RSA' | 'EC';

const keyArguments = {
  RSA: ['-newkey', 'rsa:2048'],
  EC: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
} as const;

/** A self-signed certificate. */
export async function selfSigned(folder: string, name: string, type: KeyType): Promise<Certificate> {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const fixed = ['req', '-x509', '-nodes', '-days', '2', '-subj', `/CN=${name}`];
  await run('openssl', [...fixed, ...keyArguments[type], '-keyout', key, '-out', cert]);
  return { key, cert };
}

/** A new CA, and a server certificate of it for 127.0.0.1 and localhost. */
export async function serverCertificate(folder: string): Promise<Certificate & { readonly ca: string }> {
  const authority = await selfSigned(folder, 'authority', 'EC');
  const [key, request, cert] = ['server.key', 'server.csr', 'server.crt'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const extensions = join(folder, 'extensions');
  await writeFile(extensions, 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  await run('openssl', ['req', '-nodes', '-subj', '/CN=server', ...keyArguments.EC, '-keyout', key, '-out', request]);
  const issuer = ['-CA', authority.cert, '-CAkey', authority.key, '-CAcreateserial'];
  await run('openssl', ['x509', '-req', '-days', '2', '-in', request, ...issuer, '-extfile', extensions, '-out', cert]);
  return { key, cert, ca: authority.cert };
}

/** A folder in the form of skopeo's `--src-cert-dir`. */
export async function certificateFolder(folder: string, ca: string): Promise<string> {
  const path = join(folder, 'trusted');
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'ca.crt'), await readFile(ca));
  return path;
}
