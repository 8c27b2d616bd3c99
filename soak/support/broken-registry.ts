// A registry on loopback whose repositories are named after what they do: a process of its own, so that its sockets do not count.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { gzipSync } from 'node:zlib';
import type { Descriptor, Digest } from 'ocifetch';

/** What a repository does that can be read. */
export const healthy = ['plain', 'encoded', 'token', 'redirect'] as const;
/** What a repository does that cannot be read, or not completely. */
export const broken = [
  'missing',
  'failing',
  'forbidden',
  'dead',
  'reset',
  'early-end',
  'stall',
  'flipped',
  'longer',
  'bad-encoding',
  'bad-range',
  'no-token',
  'circle',
] as const;
export type Kind = (typeof healthy)[number] | (typeof broken)[number];

const described = (mediaType: string, bytes: Buffer): Descriptor => {
  const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  return { mediaType, digest, size: bytes.length };
};
const blobBytes = Buffer.from(Uint8Array.from({ length: 60_000 }, (_, index) => (index * 31 + (index >> 8)) & 255));
const configBytes = Buffer.from('{"os":"linux","architecture":"amd64"}');
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
export const blob = described('application/vnd.oci.image.layer.v1.tar', blobBytes);
const config = described('application/vnd.oci.image.config.v1+json', configBytes);
const manifestBytes = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers: [blob] }),
);
export const manifest = described(manifestType, manifestBytes);

const contents = new Map<string, { readonly type: string; readonly bytes: Buffer }>([
  [blob.digest, { type: 'application/octet-stream', bytes: blobBytes }],
  [config.digest, { type: 'application/octet-stream', bytes: configBytes }],
  [manifest.digest, { type: manifestType, bytes: manifestBytes }],
]);

type Reply = (request: IncomingMessage, response: ServerResponse, content: Buffer, type: string) => void;

/** All bytes, or the range that is requested. */
const send: Reply = (request, response, content, type) => {
  const [, first = '0', last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  const end = last ? Number(last) + 1 : content.length;
  const part = content.subarray(Number(first), end);
  response.writeHead(request.headers.range ? 206 : 200, {
    'content-type': type,
    'content-length': part.length,
    ...(request.headers.range && { 'content-range': `bytes ${first}-${end - 1}/${content.length}` }),
  });
  response.end(request.method === 'HEAD' ? undefined : part);
};
const refuse =
  (status: number, headers: Record<string, string> = {}): Reply =>
  (_request, response) => {
    response.writeHead(status, headers).end('{"errors":[{"code":"UNKNOWN","message":"as the soak wants it"}]}');
  };
/** Half of the bytes, and then what `end` does. */
const half =
  (end: (response: ServerResponse) => void, length: 'known' | 'unknown' = 'known'): Reply =>
  (_request, response, content, type) => {
    response.writeHead(200, {
      'content-type': type,
      ...(length === 'known' && { 'content-length': content.length }),
    });
    response.write(content.subarray(0, content.length >> 1), () => end(response));
  };
const challenge = (request: IncomingMessage, path: string) => ({
  'www-authenticate': `Bearer realm="http://${request.headers.host}/${path}",service="soak"`,
});

const replies: Readonly<Record<Kind, Reply>> = {
  plain: send,
  encoded: (request, response, content, type) => {
    if (request.headers.range) return send(request, response, content, type);
    const packed = gzipSync(content);
    response.writeHead(200, { 'content-type': type, 'content-encoding': 'gzip', 'content-length': packed.length });
    response.end(request.method === 'HEAD' ? undefined : packed);
  },
  token: (request, response, content, type) => {
    if (request.headers.authorization === 'Bearer right') send(request, response, content, type);
    else refuse(401, challenge(request, 'token'))(request, response, content, type);
  },
  redirect: (request, response, content, type) =>
    refuse(307, { location: (request.url ?? '').replace('/redirect/', '/plain/') })(request, response, content, type),
  missing: refuse(404),
  failing: refuse(500),
  forbidden: refuse(403),
  dead: (_request, response) => void response.destroy(),
  reset: half((response) => response.destroy()),
  'early-end': half((response) => response.end(), 'unknown'),
  stall: half(() => {}),
  flipped: (request, response, content, type) => {
    const wrong = Buffer.from(content);
    wrong[7] = (wrong[7] ?? 0) ^ 1;
    send(request, response, wrong, type);
  },
  longer: (_request, response, content, type) => {
    response.writeHead(200, { 'content-type': type });
    response.end(Buffer.concat([content, content]));
  },
  'bad-encoding': (_request, response, content, type) => {
    response.writeHead(200, { 'content-type': type, 'content-encoding': 'gzip' });
    response.end(gzipSync(content).fill(0, 20, 60));
  },
  'bad-range': (request, response, content, type) => {
    if (!request.headers.range) return half((one) => one.destroy())(request, response, content, type);
    response.writeHead(206, { 'content-type': type, 'content-range': `bytes 0-9/${content.length}` });
    response.end(content.subarray(0, 10));
  },
  'no-token': (request, response, content, type) =>
    refuse(401, challenge(request, 'no-token'))(request, response, content, type),
  circle: (request, response, content, type) =>
    refuse(302, { location: request.url ?? '' })(request, response, content, type),
};

/** Serves until its input ends, and prints its port. */
export async function serveBroken(): Promise<void> {
  const server = createServer((request, response) => {
    const url = request.url ?? '';
    if (url.startsWith('/token')) response.end('{"token":"right"}');
    else if (url.startsWith('/no-token')) response.writeHead(503).end('{}');
    else {
      const [, kind = '', reference = ''] = /^\/v2\/([a-z-]+)\/(?:blobs|manifests)\/([^?]+)/.exec(url) ?? [];
      const content = contents.get(reference === 'latest' ? manifest.digest : reference);
      if (content && kind in replies) replies[kind as Kind](request, response, content.bytes, content.type);
      else if (url.includes('/tags/list')) response.end('{"name":"a","tags":["latest"]}');
      else response.writeHead(404).end('{}');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  console.log((server.address() as AddressInfo).port);
  process.stdin.resume().once('end', () => process.exit());
}

/** Runs `program serve`, which calls `serveBroken`. It ends with this process, or when its input is ended. */
export async function startBroken(
  program: string,
): Promise<{ readonly host: string; readonly stop: () => Promise<void> }> {
  const child = spawn(process.execPath, [program, 'serve'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const [port] = await once(lines, 'line');
  lines.close();
  const stop = async (): Promise<void> => {
    const ended = once(child, 'exit');
    child.stdin.end();
    await ended;
  };
  return { host: `127.0.0.1:${port}`, stop };
}
