import { createHash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { Cleanup } from './cleanup.ts';

const types = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
};

/** A registry with one image of many layers, which sends at a limited rate. */
export interface SlowRegistry {
  /** `127.0.0.1:port/team/layers:v1`. */
  readonly reference: string;
  /** Bytes of all layers, config and manifest. */
  readonly size: number;
  readonly digests: readonly string[];
  /** Bytes of bodies that were written to sockets since the last call. */
  sent(): number;
  /** Requests since the last call: `GET /v2/…`. */
  requests(): string[];
}

export interface SlowOptions {
  readonly layers: number;
  /** Bytes of the largest layer; the smallest has a hundredth of that. */
  readonly largest: number;
  /** Bytes per second for each connection. */
  readonly rate: number;
}

/** Bytes that do not compress, the same each time. */
function noise(seed: number, size: number): Uint8Array {
  const bytes = new Uint32Array(Math.ceil(size / 4));
  let state = seed * 2_654_435_761 + 1;
  for (let index = 0; index < bytes.length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = state ^ (state >>> 15);
  }
  return new Uint8Array(bytes.buffer, 0, size);
}

export async function startSlowRegistry(cleanup: Cleanup, options: SlowOptions): Promise<SlowRegistry> {
  const contents = new Map<string, Uint8Array>();
  const put = (mediaType: string, bytes: Uint8Array) => {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    contents.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const { layers: count, largest } = options;
  const layers = Array.from({ length: count }, (_, index) =>
    put(types.layer, noise(index + 1, Math.round(largest / 100 + (largest * index) / count))),
  );
  const platform = { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch };
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
  const config = put('application/vnd.oci.image.config.v1+json', Buffer.from(JSON.stringify({ ...platform, rootfs })));
  const document = { schemaVersion: 2, mediaType: types.manifest, config, layers };
  const manifest = put(types.manifest, Buffer.from(JSON.stringify(document)));
  const requests: string[] = [];
  let sent = 0;
  const send = async (response: ServerResponse, bytes: Uint8Array): Promise<void> => {
    const piece = 32_768;
    for (let at = 0; at < bytes.length && !response.destroyed; at += piece) {
      const part = bytes.subarray(at, at + piece);
      sent += part.length;
      response.write(part);
      if (part.length === piece) await wait((piece / options.rate) * 1000);
    }
    response.end();
  };
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '', 'http://localhost').pathname;
    requests.push(`${request.method} ${path}`);
    const name = path.split('/').at(-1) ?? '';
    const digest = name === 'v1' ? manifest.digest : name;
    const bytes = contents.get(digest);
    if (!bytes) {
      response.writeHead(404).end();
      return;
    }
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const start = Number(from ?? 0);
    const end = to ? Number(to) + 1 : bytes.length;
    response.writeHead(from === undefined ? 200 : 206, {
      'content-type': path.includes('/manifests/') ? types.manifest : 'application/octet-stream',
      'content-length': end - start,
      'docker-content-digest': digest,
      ...(from !== undefined && { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` }),
    });
    if (request.method === 'HEAD') response.end();
    else void send(response, bytes.subarray(start, end));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  cleanup.add(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const taken = <T>(value: T, forget: () => void): T => {
    forget();
    return value;
  };
  return {
    reference: `127.0.0.1:${port}/team/layers:v1`,
    size: [...contents.values()].reduce((sum, { length }) => sum + length, 0),
    digests: [...contents.keys()],
    sent: () =>
      taken(sent, () => {
        sent = 0;
      }),
    requests: () => requests.splice(0),
  };
}
