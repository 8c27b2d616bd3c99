import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { createLog } from './log.ts';
import { freePort, start } from './process.ts';

export interface Nginx {
  /** One `http://127.0.0.1:port` per server, in the order they were given. */
  readonly urls: readonly string[];
  /** Requests since the last call, by server, and whether they had credentials: `0 GET /v2/ 401 with credentials`. */
  requests(): Promise<string[]>;
}

const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
/** The user that runs nginx if root runs the suite: "nobody" on most systems. */
const nobody = 65_534;

function configuration(folder: string, servers: readonly string[]): string {
  const credentials = 'map $http_authorization $credentials { "" "without credentials"; default "with credentials"; }';
  return `
    daemon off;
    worker_processes 1;
    pid ${folder}/pid;
    error_log ${folder}/error.log;
    events { worker_connections 64; }
    http {
      ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')}
      ${credentials}
      log_format asked '$asked_server $request_method $request_uri $status $credentials';
      access_log ${folder}/access.log asked;
      default_type application/octet-stream;
      client_max_body_size 0;
      ${servers.join('\n')}
    }`;
}

/**
 * Runs nginx without privileges, in a new folder. Each element returns the inside of a `server` block from the URLs of all
 * servers. Ports are free ones, unless they are `chosen`.
 */
export async function startNginx(
  cleanup: Cleanup,
  bodies: readonly ((urls: readonly string[]) => string)[],
  chosen: readonly number[] = [],
): Promise<Nginx> {
  const folder = await cleanup.folder();
  const ports = [...chosen];
  while (ports.length < bodies.length) ports.push(await freePort());
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  const blocks = bodies.map(
    (body, index) => `server { listen 127.0.0.1:${ports[index]}; set $asked_server ${index}; ${body(urls)} }`,
  );
  const path = join(folder, 'nginx.conf');
  await writeFile(path, configuration(folder, blocks));
  for (const name of temporary) await mkdir(join(folder, name));
  const root = process.getuid?.() === 0;
  if (root) for (const name of ['.', ...temporary]) await chown(join(folder, name), nobody, nobody);
  const { stop } = await start('nginx', ['-p', folder, '-c', path, '-e', join(folder, 'error.log')], {
    url: `${urls[0]}/`,
    cwd: folder,
    env: {},
    ...(root && { uid: nobody, gid: nobody }),
  });
  cleanup.add(stop);
  const log = async (): Promise<string[]> => (await readFile(join(folder, 'access.log'), 'utf8')).split('\n');
  return { urls, requests: createLog(urls[0] ?? '', log, (line) => line) };
}

/** Inside of a server: a registry below a path prefix, as a mirror often is. */
export const underPrefix = (prefix: string, registry: string): string => `
  location ${prefix}/v2/ { proxy_pass ${registry}/v2/; proxy_set_header Host $http_host; }
  location / { return 404; }`;

/** Inside of a server: a registry, and its token server at the same origin. */
export const withTokens = (registry: string, realm: string): string => `
  location = /token { proxy_pass ${realm}; }
  location / { proxy_pass ${registry}; proxy_set_header Host $http_host; }`;

/** Inside of a server: a registry that redirects blobs to storage, with a secret query. */
export const redirecting = (registry: string, storage: string): string => `
  location ~ "^/v2/(.+)/blobs/(sha256:[0-9a-f]{64})$" { return 307 ${storage}/$1/$2?signature=secret; }
  location / { proxy_pass ${registry}; proxy_set_header Host $http_host; }`;

/** Inside of a server: storage as in clouds. Credentials in addition to the signature are an error, as is no signature. */
export const storage = (registry: string, authorization = ''): string => `
  if ($http_authorization != "") { return 400; }
  if ($arg_signature != "secret") { return 403; }
  location ~ "^/(.+)/(sha256:[0-9a-f]{64})$" {
    proxy_pass ${registry}/v2/$1/blobs/$2;
    proxy_set_header Authorization "${authorization}";
    proxy_hide_header Docker-Content-Digest;
  }`;
