import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mediaTypes } from '../../../src/oci/manifest.ts';
import { layoutRegistry } from '../../../src/registry/layout-registry.ts';
import { memoryRegistry } from '../../../src/registry/memory-registry.ts';
import { listen } from '../../../src/server/listen.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import type { Registry, Store } from '../../../src/source.ts';
import { absent, samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { runs } from '../../support/runs.ts';
import { ask, bytesOf, origin } from '../support.ts';

const { large, manifest, config, wide } = samples;
const { digest } = large.descriptor;
const manifestPath = `/v2/foo/manifests/${manifest.descriptor.digest}`;

/** Codes of the specification, and three that it leaves to servers. https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes */
const codes: ReadonlySet<string> = new Set([
  ...['BLOB_UNKNOWN', 'BLOB_UPLOAD_INVALID', 'BLOB_UPLOAD_UNKNOWN', 'DIGEST_INVALID', 'MANIFEST_BLOB_UNKNOWN'],
  ...['MANIFEST_INVALID', 'MANIFEST_UNKNOWN', 'NAME_INVALID', 'NAME_UNKNOWN', 'SIZE_INVALID', 'UNAUTHORIZED', 'DENIED'],
  ...['UNSUPPORTED', 'TOOMANYREQUESTS', 'RANGE_INVALID', 'UNAVAILABLE', 'UNKNOWN'],
]);

const odd = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.constantFrom(
    '',
    '..',
    '.',
    '%',
    '%2f',
    '%2e%2e',
    '%00',
    '%ff',
    '%F0%9F%90%B3',
    '-1',
    '0',
    '1e9',
    'null',
    '\u0000',
    'é',
  ),
  fc.integer({ min: 200, max: 9_000 }).map((length) => 'a'.repeat(length)),
);
const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('foo', 'foo/bar', 'new') },
  fc.constantFrom('Foo', 'a//b', 'a/../b', '../etc', 'a/', '-a', 'a__b', 'blobs', 'uploads', 'a/manifests'),
  odd,
);
const known = fc.constantFrom<string>(
  digest,
  manifest.descriptor.digest,
  wide.descriptor.digest,
  config.descriptor.digest,
);
const digests = fc.oneof(
  { weight: 3, arbitrary: known },
  fc.constantFrom(
    absent,
    'sha256:',
    'sha256:abc',
    `sha256:${'A'.repeat(64)}`,
    `sha999:${'0'.repeat(64)}`,
    'md5:x',
    ':',
    'sha256',
  ),
  odd,
);
const references = fc.oneof(fc.constantFrom('latest', 'v1', '.bad', 'a'.repeat(129)), digests);
const paths = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(name, digests).map(([a, b]) => `/v2/${a}/blobs/${b}`) },
  { weight: 4, arbitrary: fc.tuple(name, references).map(([a, b]) => `/v2/${a}/manifests/${b}`) },
  { weight: 3, arbitrary: name.map((a) => `/v2/${a}/blobs/uploads/`) },
  { weight: 2, arbitrary: fc.tuple(name, odd).map(([a, b]) => `/v2/${a}/blobs/uploads/${b}`) },
  { weight: 2, arbitrary: name.map((a) => `/v2/${a}/tags/list`) },
  { weight: 2, arbitrary: fc.tuple(name, digests).map(([a, b]) => `/v2/${a}/referrers/${b}`) },
  fc.constantFrom('/v2/_catalog', '/v2/', '/v2', '/', '/v2/_catalog/', '//v2//', '/v2/%'),
  odd.map((text) => `/${text}`),
);
const query = fc.dictionary(
  fc.constantFrom('n', 'last', 'digest', 'mount', 'from', 'tag', 'ns', 'artifactType', '__proto__', 'x'),
  fc.oneof(digests, name, fc.integer().map(String), odd),
  { maxKeys: 3 },
);
const ranges = fc.oneof(
  fc.tuple(fc.maxSafeNat(), fc.nat(10)).map(([a, b]) => `bytes=${a}-${b}`),
  fc.constantFrom(
    'bytes=0-0',
    'bytes=-1',
    'bytes=-0',
    'bytes=5-1',
    'bytes=0-,1-',
    'bytes=',
    'bytes=-',
    '0-4',
    '4-0',
    '0-',
    '9'.repeat(40),
    `0-${'9'.repeat(30)}`,
  ),
  odd,
);
const headers = fc.dictionary(
  fc.constantFrom(
    'range',
    'content-range',
    'if-range',
    'if-none-match',
    'content-length',
    'accept',
    'authorization',
    'content-type',
  ),
  fc.oneof(
    ranges,
    fc.constantFrom<string>('0', '5', '-1', `"${digest}"`, '*', mediaTypes.ociManifest, mediaTypes.ociIndex),
  ),
  { maxKeys: 3 },
);
/** A descriptor with any of its fields of any kind. */
const descriptor = fc.record(
  {
    mediaType: fc.oneof(odd, fc.jsonValue()),
    digest: fc.oneof(digests, fc.jsonValue()),
    size: fc.oneof(fc.integer(), fc.jsonValue()),
  },
  { requiredKeys: [] },
);
const documents = fc
  .record(
    {
      schemaVersion: fc.oneof(fc.constant(2), fc.jsonValue()),
      mediaType: fc.oneof(fc.constantFrom<string>(mediaTypes.ociManifest, mediaTypes.ociIndex), fc.jsonValue()),
      config: fc.oneof(fc.constant(config.descriptor), descriptor, fc.jsonValue()),
      layers: fc.oneof(fc.array(fc.oneof(fc.constant(large.descriptor), descriptor)), fc.jsonValue()),
      manifests: fc.oneof(fc.array(descriptor), fc.jsonValue()),
      subject: fc.oneof(descriptor, fc.jsonValue()),
      annotations: fc.jsonValue(),
    },
    { requiredKeys: ['schemaVersion'] },
  )
  .map((value) => Buffer.from(JSON.stringify(value)));
const bodies = fc.oneof(
  documents,
  fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom(
    Buffer.alloc(0),
    Buffer.from(large.bytes),
    Buffer.from(manifest.bytes),
    Buffer.from('[['.repeat(5_000)),
  ),
);
const methods = fc.oneof(
  fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS'),
  fc.stringMatching(/^[A-Z]{1,8}$/),
);

/** The request, if there is one of these parts: what no client can send is nobody's problem. */
function requestOf(parts: {
  method: string;
  path: string;
  query: Record<string, string>;
  headers: Record<string, string>;
  body: Buffer<ArrayBuffer>;
}): Request | undefined {
  const { method, path, query: fields, headers: sent, body } = parts;
  try {
    const url = new URL(`${origin}${path}`);
    for (const [key, value] of Object.entries(fields)) url.searchParams.set(key, value);
    const hasBody = method !== 'GET' && method !== 'HEAD';
    return new Request(url, { method, headers: sent, ...(hasBody && { body }) });
  } catch {
    return undefined;
  }
}

/** Throws random requests at a registry; each response is right, and what was there before is as it was. */
async function withstands(registry: Registry, count: number): Promise<void> {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  const faults: unknown[] = [];
  const handler = serve(registry, { uploads: 50, onError: (error) => faults.push(error) });
  try {
    const check = async (parts: Parameters<typeof requestOf>[0]): Promise<void> => {
      const request = requestOf(parts);
      if (!request) return;
      const isHead = parts.method === 'HEAD';
      const response = await handler(request);
      const bytes = await bytesOf(response);
      expect(faults).toEqual([]);
      expect(response.status).toBeLessThan(500);
      if (response.status < 400 || isHead) return;
      expect(response.headers.get('content-type')).toBe('application/json');
      const { errors } = JSON.parse(new TextDecoder().decode(bytes)) as { errors: { code: string; message: string }[] };
      expect(errors).toEqual([{ code: expect.any(String), message: expect.any(String) }]);
      expect(codes).toContain(errors[0]?.code);
    };
    const parts = fc.record({ method: methods, path: paths, query, headers, body: bodies });
    await fc.assert(fc.asyncProperty(parts, check), runs(count));
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(unhandled).toEqual([]);
    // A repository that nobody can have changed: no random request names it.
    const kept = await handler(ask(`GET /v2/kept/app/blobs/${digest}`));
    expect([kept.status, Buffer.compare(await bytesOf(kept), large.bytes)]).toEqual([200, 0]);
  } finally {
    process.off('unhandledRejection', note);
  }
}

async function filled<R extends (repository: Parameters<Registry>[0]) => Store>(registry: R): Promise<R> {
  for (const repository of ['foo', 'foo/bar', 'kept/app'])
    await fill(registry({ registry: 'localhost', name: repository }), [large, config, wide, manifest]);
  return registry;
}

test('any request to a registry in memory gets a response of the specification, and the process stays up', async () => {
  await withstands(await filled(memoryRegistry()), 300);
});

test('any request to a registry of layouts gets a response of the specification, and nothing is written outside', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-hostile-'));
  try {
    await withstands(await filled(layoutRegistry(join(folder, 'registry'))), 60);
    expect(await readdir(folder)).toEqual(['registry']);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a socket that sends anything does not end the server', async () => {
  const handler = serve(await filled(memoryRegistry()));
  const listening = await listen(handler);
  try {
    const send = (bytes: Buffer): Promise<void> =>
      new Promise((resolve) => {
        const socket = connect(listening.port, '127.0.0.1', () => socket.end(bytes));
        socket.on('error', () => resolve());
        socket.on('close', () => resolve());
        socket.resume();
      });
    const line = fc.tuple(
      methods,
      fc.oneof(paths, fc.constantFrom('*', 'http://[', 'http://other.test/v2/')),
      fc.string({ maxLength: 40 }),
    );
    const raw = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      line.map(([method, path, head]) =>
        Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${head}\r\n\r\n`),
      ),
      line.map(([method, path]) =>
        Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\nfew`),
      ),
    );
    await fc.assert(fc.asyncProperty(raw, send), runs(60));
    expect((await fetch(`${listening.url}${manifestPath}`)).status).toBe(200);
  } finally {
    await listening.close();
  }
});
