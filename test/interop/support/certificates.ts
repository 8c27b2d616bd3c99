import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
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

/** A certificate that another one signed. `extensions` are lines of openssl's configuration. */
async function signed(folder: string, name: string, issuer: Certificate, extensions: string): Promise<Certificate> {
  const file = (type: string): string => join(folder, `${name}.${type}`);
  const [key, request, cert, settings] = [file('key'), file('csr'), file('crt'), file('extensions')];
  await writeFile(settings, `${extensions}\n`);
  await run('openssl', ['req', '-nodes', '-subj', `/CN=${name}`, ...keyArguments.EC, '-keyout', key, '-out', request]);
  const by = ['-CA', issuer.cert, '-CAkey', issuer.key, '-CAcreateserial'];
  await run('openssl', ['x509', '-req', '-days', '2', '-in', request, ...by, '-extfile', settings, '-out', cert]);
  return { key, cert };
}

const serverNames = 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test';

/** A new CA, and a server certificate of it for 127.0.0.1, localhost and registry.test. */
export async function serverCertificate(folder: string): Promise<Certificate & { readonly ca: string }> {
  const authority = await selfSigned(folder, 'authority', 'EC');
  return { ...(await signed(folder, 'server', authority, serverNames)), ca: authority.cert };
}

/** Certificates that lead from a server, for the same names, through an intermediate authority to a root. */
export interface CertificateChain {
  readonly root: string;
  readonly intermediate: string;
  /** Another authority of the same root, which signed nothing here. */
  readonly sibling: string;
  readonly server: Certificate;
  /** With the intermediate in the file, as servers should send it. */
  readonly chained: Certificate;
}

export async function certificateChain(folder: string): Promise<CertificateChain> {
  const root = await selfSigned(folder, 'root', 'EC');
  const isAuthority = 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign';
  const intermediate = await signed(folder, 'intermediate', root, isAuthority);
  const sibling = await signed(folder, 'sibling', root, isAuthority);
  const server = await signed(folder, 'server', intermediate, serverNames);
  const chained = join(folder, 'chained.crt');
  await writeFile(chained, Buffer.concat([await readFile(server.cert), await readFile(intermediate.cert)]));
  return {
    root: root.cert,
    intermediate: intermediate.cert,
    sibling: sibling.cert,
    server,
    chained: { key: server.key, cert: chained },
  };
}

/** A folder in the form of skopeo's `--src-cert-dir`. */
export async function certificateFolder(folder: string, ca: string): Promise<string> {
  const path = join(folder, `trusted-${basename(ca, '.crt')}`);
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'ca.crt'), await readFile(ca));
  return path;
}
