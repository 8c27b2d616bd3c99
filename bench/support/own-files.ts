// A web server for the files of an image, where there is no nginx: FOLDER ROOT DIGEST PORT TLS-PORT. FOLDER has the certificate
// and gets the log of requests, a line each that names its connection.
import { appendFile, createReadStream, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { manifestType } from './images.ts';

const [folder = '', root = '', digest = '', ...ports] = process.argv.slice(2);
const numbers = new WeakMap<Socket, number>();
let connections = 0;

const listener: RequestListener = (request, response) => {
  const number = numbers.get(request.socket) ?? ++connections;
  numbers.set(request.socket, number);
  response.once('close', () => appendFile(join(folder, 'access.log'), `${number}\n`, () => undefined));
  const path = new URL(request.url ?? '/', 'http://localhost').pathname;
  if (path === '/v2/') response.end('{}');
  else send(join(root, path)).catch(() => response.writeHead(404).end());

  async function send(file: string): Promise<void> {
    const { size } = await stat(file);
    const isManifest = file.includes('/manifests/');
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const [start, end] = [Number(from ?? 0), Math.min(to ? Number(to) : size - 1, size - 1)];
    response.writeHead(from === undefined ? 200 : 206, {
      'content-type': isManifest ? manifestType : 'application/octet-stream',
      'content-length': end - start + 1,
      'accept-ranges': 'bytes',
      ...(from !== undefined && { 'content-range': `bytes ${start}-${end}/${size}` }),
      ...(isManifest && { 'docker-content-digest': digest }),
    });
    if (request.method === 'HEAD') response.end();
    else createReadStream(file, { start, end, highWaterMark: 1_048_576 }).pipe(response);
  }
};

const [cert, key] = ['cert.pem', 'key.pem'].map((name) => readFileSync(join(folder, name)));
if (!cert || !key) throw new Error('there is no certificate');
const servers = [createServer(listener), createSecureServer({ cert, key }, listener)];
for (const [index, server] of servers.entries()) {
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((listening) => void server.listen(Number(ports[index]), '127.0.0.1', listening));
}
process.once('disconnect', () => process.exit());
process.send?.('ready');
