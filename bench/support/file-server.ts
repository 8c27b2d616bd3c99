// nginx that serves an image's files as a registry, plain and over TLS. Without nginx a server of this package does.
import { appendFileSync, openSync } from 'node:fs';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCertificate } from './certificate.ts';
import type { Cleanup } from './cleanup.ts';
import { type Image, manifestType } from './images.ts';
import { freePort, programPath, startOwn, startServer } from './programs.ts';
import type { Costs } from './scenario.ts';

export interface FileServer {
  /** `127.0.0.1:port`. */
  readonly plain: string;
  readonly tls: string;
  /** A file with the certificate of the authority. */
  readonly ca: string;
  /** `requests` and `connections` since the last call. */
  counts(): Promise<Costs>;
  /** What is missing to serve as intended. */
  readonly lacking: readonly string[];
}

const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

const configuration = (folder: string, { folder: root, manifest }: Image, ports: readonly number[]): string => `
  daemon off;
  worker_processes auto;
  ${process.getuid?.() === 0 ? 'user root;' : ''}
  pid ${folder}/pid;
  error_log ${folder}/error.log;
  events { worker_connections 4096; }
  http {
    ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
    log_format counted '$connection';
    access_log ${folder}/access.log counted;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 60;
    keepalive_requests 1000000;
    types {}
    default_type application/octet-stream;
    server {
      listen 127.0.0.1:${ports[0]} backlog=1024;
      listen 127.0.0.1:${ports[1]} ssl backlog=1024;
      ssl_certificate ${folder}/cert.pem;
      ssl_certificate_key ${folder}/key.pem;
      ssl_session_cache shared:tls:1m;
      root ${root};
      location = /v2/ { return 200 '{}'; }
      location ~ /manifests/ {
        default_type ${manifestType};
        add_header Docker-Content-Digest ${manifest.digest};
      }
    }
  }`;

/** Lines that were added to a file since the last call. */
function createTail(path: string): () => Promise<string[]> {
  let at = 0;
  return async () => {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      const bytes = Buffer.alloc(size - at);
      await file.read(bytes, 0, bytes.length, at);
      at = size;
      return bytes.toString().split('\n').slice(0, -1);
    } finally {
      await file.close();
    }
  };
}

/** Counts lines that name the connection of a request; what is logged at the end of a client takes a moment. */
export function createCounter(path: string, connectionOf: (line: string) => string | undefined): () => Promise<Costs> {
  const tail = createTail(path);
  return async () => {
    await sleep(50);
    const connections = (await tail()).flatMap((line) => connectionOf(line) ?? []);
    return { requests: connections.length, connections: new Set(connections).size };
  };
}

export async function startFileServer(cleanup: Cleanup, image: Image): Promise<FileServer> {
  const folder = await cleanup.folder();
  const { cert, key } = await makeCertificate();
  await writeFile(join(folder, 'cert.pem'), cert);
  await writeFile(join(folder, 'key.pem'), key);
  const ports = [await freePort(), await freePort()] as const;
  const [plain, tls] = [`127.0.0.1:${ports[0]}`, `127.0.0.1:${ports[1]}`];
  const log = join(folder, 'access.log');
  appendFileSync(log, '');
  const nginx = programPath('nginx');
  if (nginx) {
    for (const name of temporary) await mkdir(join(folder, name));
    const path = join(folder, 'nginx.conf');
    await writeFile(path, configuration(folder, image, ports));
    const errors = openSync(join(folder, 'error.log'), 'a');
    await startServer(
      cleanup,
      [nginx, '-p', folder, '-c', path, '-e', join(folder, 'error.log')],
      `http://${plain}/v2/`,
      errors,
    );
  } else {
    await startOwn(cleanup, 'own-files', [folder, image.folder, image.manifest.digest, ...ports.map(String)]);
  }
  const counts = createCounter(log, (line) => line);
  await counts();
  const lacking = nginx ? [] : ['nginx: there is no program "nginx", so a server of node:http sends the content'];
  return { plain, tls, ca: join(folder, 'cert.pem'), counts, lacking };
}
