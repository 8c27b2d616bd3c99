import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificate } from './certificates.ts';
import type { Cleanup } from './cleanup.ts';
import { createLog } from './log.ts';
import { freePort, run, start } from './process.ts';

export interface RegistryOptions {
  /** Basic authentication for one user. */
  readonly login?: { readonly username: string; readonly password: string };
  /** Bearer tokens of a token server, trusted by its certificate (a PEM file). */
  readonly token?: { readonly realm: string; readonly service: string; readonly issuer: string; readonly cert: string };
  readonly tls?: Certificate;
  /** Makes it a pull-through cache of the registry at this URL. */
  readonly remote?: string;
}

export interface RegistryServer {
  /** `127.0.0.1:port`. */
  readonly host: string;
  /** `http://127.0.0.1:port`, or https. */
  readonly url: string;
  /** Requests since the last call: `GET /v2/team/app/manifests/v1 200`. Not with TLS. */
  requests(): Promise<string[]>;
  stop(): Promise<void>;
}

async function authOf(folder: string, { login, token }: RegistryOptions): Promise<object> {
  if (login) {
    const path = join(folder, 'htpasswd');
    await writeFile(path, await run('htpasswd', ['-Bbn', login.username, login.password]));
    return { auth: { htpasswd: { realm: 'interop', path } } };
  }
  if (!token) return {};
  const { realm, service, issuer, cert } = token;
  return { auth: { token: { realm, service, issuer, rootcertbundle: cert } } };
}

/** Starts Debian's docker-registry with an empty file system storage; `cleanup` stops it. */
export async function startRegistry(cleanup: Cleanup, options: RegistryOptions = {}): Promise<RegistryServer> {
  const folder = await cleanup.folder();
  const { tls, remote } = options;
  const host = `127.0.0.1:${await freePort()}`;
  const url = `${tls ? 'https' : 'http'}://${host}`;
  const config = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(folder, 'storage') } },
    http: { addr: host, secret: 'interop', ...(tls && { tls: { certificate: tls.cert, key: tls.key } }) },
    ...(await authOf(folder, options)),
    ...(remote !== undefined && { proxy: { remoteurl: remote } }),
  };
  const path = join(folder, 'config.yml');
  await writeFile(path, JSON.stringify(config)); // JSON is YAML
  const { lines, stop } = await start('docker-registry', ['serve', path], { url: `${url}/v2/`, env: {}, cwd: folder });
  cleanup.add(stop);
  return { host, url, requests: createLog(url, async () => lines, parseLine), stop };
}

/** `GET /path 200` of a line in Apache's combined format. */
function parseLine(line: string): string | undefined {
  const match = /"(\S+ \S+) HTTP\/[\d.]+" (\d+)/.exec(line);
  return match ? `${match[1]} ${match[2]}` : undefined;
}
