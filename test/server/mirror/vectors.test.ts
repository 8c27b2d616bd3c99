import { expect, test, vi } from 'vitest';
import { tokenAccess } from '../../../src/server/access/tokens.ts';
import { memoryStore } from '../../../src/store/memory.ts';
import { absent, sampleOf, samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { refusal } from '../../support/hosts.ts';
import { bytesOf, problemOf } from '../support.ts';
import { gone, type MirrorSetup, mirrorOf, upstreamWith } from './support.ts';

// The rows of a pull-through proxy, by their numbers. Where this mirror differs, the name says how.

const { config, large, manifest } = samples;
const blob = (digest: string, name = 'library/app'): string => `/v2/${name}/blobs/${digest}`;
const manifestPath = (reference: string, name = 'library/app'): string => `/v2/${name}/manifests/${reference}`;

async function hubMirror(options: MirrorSetup = {}) {
  const hub = await upstreamWith(Object.values(samples));
  return { hub, ...mirrorOf({ 'hub.test': hub.answer }, options) };
}

test('P1: /v2/ is 200, without a request upstream and without a challenge', async () => {
  const { get, asked } = await hubMirror();
  for (const line of ['GET /v2/', 'HEAD /v2/']) {
    const response = await get(line);
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([200, null]);
    expect(response.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
  }
  expect(asked()).toEqual([]);
});

test('P2: a path is a blob, a manifest or tags by its last parts, so a repository may be called blobs', async () => {
  const { get } = await hubMirror();
  const name = 'library/blobs/manifests';
  expect((await get(`GET ${blob(large.descriptor.digest, name)}`)).status).toBe(200);
  expect((await get(`GET ${manifestPath('latest', name)}`)).status).toBe(200);
  expect((await get(`GET /v2/${name}/tags/list`)).status).toBe(200);
  expect((await get('GET /v2/library/app/other')).status).toBe(404);
});

test('P3: _catalog is 404 and uploads are 405; referrers and sha512 are served', async () => {
  const { get } = await hubMirror();
  expect((await get('GET /v2/_catalog')).status).toBe(404);
  expect((await get('POST /v2/library/app/blobs/uploads/')).status).toBe(405);
  expect(await (await get(`GET /v2/library/app/referrers/${manifest.descriptor.digest}`)).json()).toMatchObject({
    manifests: [],
  });
  expect(await bytesOf(await get(`GET ${blob(samples.wide.descriptor.digest)}`))).toEqual(samples.wide.bytes);
});

test('P4: content is read-only: other methods than GET and HEAD are 405; tags have HEAD, too', async () => {
  const { get, asked } = await hubMirror();
  for (const method of ['PUT', 'DELETE', 'POST']) {
    expect((await get(`${method} ${blob(large.descriptor.digest)}`)).status).toBe(405);
    expect((await get(`${method} ${manifestPath('latest')}`)).status).toBe(405);
    expect((await get(`${method} /v2/library/app/tags/list`)).status).toBe(405);
  }
  expect(asked()).toEqual([]);
  expect((await get('HEAD /v2/library/app/tags/list')).status).toBe(200);
});

/** Docker Hub, as it were: a registry that wants a token for each repository, and its token server. */
async function guardedMirror(options: MirrorSetup = {}) {
  const hub = await upstreamWith(Object.values(samples));
  const users = { robot: 'secret' };
  const access = tokenAccess({ realm: 'https://auth.test/token', service: 'hub', users });
  const protect = access.protect(async (request) => hub.answer(request));
  const answers = { 'hub.test': protect, 'auth.test': access.token };
  const config = { credentials: { 'hub.test': { username: 'robot', password: 'secret' } } };
  return { hub, answers, ...mirrorOf(answers, { clientOptions: { config, retries: { tries: 1 } }, ...options }) };
}

test('P6, P13: a challenge is met once for a repository; what the caller sends as its own login is ignored', async () => {
  const { get, asked } = await guardedMirror();
  const own = { authorization: 'Bearer of-the-caller' };
  expect((await get(`HEAD ${manifestPath('latest')}`, own)).status).toBe(200);
  expect(asked()).toEqual([
    'HEAD hub.test/v2/library/app/manifests/latest',
    'GET auth.test/token',
    'HEAD hub.test/v2/library/app/manifests/latest',
  ]);
  expect(await bytesOf(await get(`GET ${blob(large.descriptor.digest)}`, own))).toEqual(large.bytes);
  expect(asked()).toEqual([`GET hub.test${blob(large.descriptor.digest)}`]);
  await (await get(`GET ${blob(config.descriptor.digest, 'library/other')}`)).arrayBuffer();
  expect(asked().filter((line) => line.includes('auth.test'))).toHaveLength(1);
});

test('P6: without a token what is kept is served, and what is not is 401 without a challenge', async () => {
  const { get, asked } = await guardedMirror({ clientOptions: {} });
  const response = await get(`GET ${manifestPath('latest')}`);
  expect([response.headers.get('www-authenticate'), await problemOf(response)]).toEqual([null, '401 UNAUTHORIZED']);
  asked();
});

test('P7: HEAD of a blob that is not kept is one HEAD upstream, with its size and digest, and keeps nothing', async () => {
  const { get, asked } = await hubMirror();
  for (let times = 0; times < 2; times++) {
    const { status, headers } = await get(`HEAD ${blob(large.descriptor.digest)}`);
    expect(status).toBe(200);
    expect(headers.get('content-length')).toBe(String(large.bytes.length));
    expect(headers.get('docker-content-digest')).toBe(large.descriptor.digest);
    expect(asked()).toEqual([`HEAD hub.test${blob(large.descriptor.digest)}`]);
  }
});

test('P8: GET of a blob is one GET upstream, in whatever repository it is wanted next; Range is honoured', async () => {
  const { get, asked } = await hubMirror();
  const { digest } = large.descriptor;
  for (const name of ['library/app', 'library/app', 'other/app']) {
    const response = await get(`GET ${blob(digest, name)}`);
    expect(response.headers.get('docker-content-digest')).toBe(digest);
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(response.headers.get('content-length')).toBe(String(large.bytes.length));
    expect(response.headers.get('etag')).toBe(`"${digest}"`);
    expect(Buffer.compare(await bytesOf(response), large.bytes)).toBe(0);
  }
  const part = await get(`GET ${blob(digest)}`, { range: 'bytes=100000-100009' });
  expect(part.status).toBe(206);
  expect(await bytesOf(part)).toEqual(large.bytes.slice(100_000, 100_010));
  expect(asked()).toEqual([`GET hub.test${blob(digest)}`]);
});

test('P8: a Range of a blob that is not kept has the right bytes', async () => {
  const { get } = await hubMirror();
  const part = await get(`GET ${blob(large.descriptor.digest)}`, { range: 'bytes=-7' });
  expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 300000-300006/300007']);
  expect(await bytesOf(part)).toEqual(large.bytes.slice(-7));
});

test('P9: a manifest has its type, size, digest and ETag; If-None-Match is answered', async () => {
  const { get, hosts } = await hubMirror();
  const { digest, mediaType, size } = manifest.descriptor;
  const response = await get(`GET ${manifestPath('latest')}`);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': mediaType,
    'content-length': String(size),
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  });
  expect(await bytesOf(response)).toEqual(manifest.bytes);
  expect(hosts.requests[0]?.headers.get('accept')).toMatch(/oci.image.index.*docker.distribution.manifest.list/);
  expect((await get(`GET ${manifestPath('latest')}`, { 'if-none-match': `"${digest}"` })).status).toBe(304);
});

test('P10: tags come from upstream, in pages that can be followed', async () => {
  const { get, hub } = await hubMirror();
  for (const tag of ['a', 'b', 'c']) await hub.store.tag(manifest.descriptor, tag);
  const first = await get('GET /v2/library/app/tags/list?n=2');
  expect(await first.json()).toEqual({ name: 'library/app', tags: ['a', 'b'] });
  const link = /^<(.*)>; rel="next"$/.exec(first.headers.get('link') ?? '')?.[1];
  const second = await get(`GET ${link}`);
  expect(await second.json()).toEqual({ name: 'library/app', tags: ['c', 'latest'] });
  expect(second.headers.get('link')).toBeNull();
});

test('P10: while upstream is gone, tags are those that are kept, with a warning', async () => {
  const { get, hub } = await hubMirror();
  await get(`HEAD ${manifestPath('latest')}`);
  hub.instead = gone;
  const response = await get('GET /v2/library/app/tags/list');
  expect(response.headers.get('warning')).toMatch(/^110 - /);
  expect(await response.json()).toEqual({ name: 'library/app', tags: ['latest'] });
});

test('P11: what upstream refuses is refused with its status, and without its challenge', async () => {
  const { get, hub } = await hubMirror();
  hub.instead = refusal(403, 'DENIED', 'not for you');
  const response = await get(`GET ${manifestPath('latest')}`);
  expect([response.headers.get('www-authenticate'), await problemOf(response)]).toEqual([null, '403 DENIED']);
});

test('P12: what is kept is served by GET and HEAD without a token and without upstream', async () => {
  const { get, asked, answers, hub } = await guardedMirror();
  const paths = [
    manifestPath('latest'),
    manifestPath(manifest.descriptor.digest),
    ...[config, large].map(({ descriptor }) => blob(descriptor.digest)),
  ];
  for (const path of paths) await (await get(`GET ${path}`)).arrayBuffer();
  asked();
  hub.instead = gone;
  Object.assign(answers, { 'auth.test': gone });
  for (const path of paths) {
    const [head, response] = [await get(`HEAD ${path}`), await get(`GET ${path}`)];
    expect([head.status, response.status]).toEqual([200, 200]);
    expect(head.headers.get('content-length')).toBe(String((await response.arrayBuffer()).byteLength));
  }
  expect(asked()).toEqual([]);
});

test('P14: a blob that upstream does not have is 404 BLOB_UNKNOWN, a manifest 404 MANIFEST_UNKNOWN', async () => {
  const { get } = await hubMirror();
  expect(await problemOf(await get(`GET ${blob(absent)}`))).toBe('404 BLOB_UNKNOWN');
  expect((await get(`HEAD ${blob(absent)}`)).status).toBe(404);
  expect(await problemOf(await get(`GET ${manifestPath('missing')}`))).toBe('404 MANIFEST_UNKNOWN');
  expect(await problemOf(await get(`GET ${manifestPath(absent)}`))).toBe('404 MANIFEST_UNKNOWN');
});

const failures: readonly [title: string, answer: () => Response, problem: string, retryAfter: string | null][] = [
  ['is gone', gone, '503 UNAVAILABLE', '5'],
  ['is broken', () => new Response('oops', { status: 500 }), '503 UNAVAILABLE', '5'],
  [
    'limits the rate',
    () => new Response('', { status: 429, headers: { 'retry-after': '7' } }),
    '429 TOOMANYREQUESTS',
    '7',
  ],
  ['sends a page', () => new Response('<html>', { headers: { 'content-type': 'text/html' } }), '502 UNKNOWN', null],
];
test.each(failures)(
  'P14: what is not kept while upstream %s is an error that can be retried',
  async (_, answer, problem, retryAfter) => {
    const { get, hub } = await hubMirror({ clientOptions: { retries: { tries: 1 }, timeouts: { retryAfter: 0 } } });
    hub.instead = answer;
    for (const path of [manifestPath('latest'), blob(large.descriptor.digest)]) {
      const response = await get(`GET ${path}`);
      expect([response.headers.get('retry-after'), await problemOf(response)]).toEqual([retryAfter, problem]);
    }
  },
);

const big = sampleOf(Uint8Array.from({ length: 6_000_000 }, (_, index) => (index * 7 + (index >> 8)) & 255));

test.each([large, big])(
  'P15: the ETag is the digest; wrong bytes from upstream are an error, not kept, and requested again',
  async ({ bytes, descriptor }) => {
    const { get, hub, asked } = await hubMirror();
    await fill(hub.store, [big]);
    const wrong = bytes.slice().fill(7, 200_000);
    const path = blob(descriptor.digest);
    hub.instead = () => new Response(wrong, { headers: { 'content-length': String(wrong.length) } });
    const response = await get(`GET ${path}`);
    const outcome = await response.arrayBuffer().then(
      () => response.status,
      () => 'broken off',
    );
    expect(outcome).toBe(bytes === big.bytes ? 'broken off' : 502);
    hub.instead = () => undefined;
    const again = await get(`GET ${path}`);
    expect(again.headers.get('etag')).toBe(`"${descriptor.digest}"`);
    expect(Buffer.compare(await bytesOf(again), bytes)).toBe(0);
    expect(asked()).toEqual([`GET hub.test${path}`, `GET hub.test${path}`]);
  },
);

test('P16: what a store has elsewhere, too, is redirected to once it is kept; HEAD is answered', async () => {
  const inner = memoryStore();
  const locate = async ({ digest }: { readonly digest: string }): Promise<string | undefined> =>
    inner.resolve(digest).then(
      () => `https://storage.test/${digest}?signature=1`,
      () => undefined,
    );
  const { get } = await hubMirror({ store: Object.assign(inner, { locate }) });
  const path = blob(large.descriptor.digest);
  expect(Buffer.compare(await bytesOf(await get(`GET ${path}`)), large.bytes)).toBe(0);
  const response = await get(`GET ${path}`);
  expect([response.status, response.headers.get('location')]).toEqual([
    307,
    `https://storage.test/${large.descriptor.digest}?signature=1`,
  ]);
  expect((await get(`HEAD ${path}`)).status).toBe(200);
});

test('P16: so is what the locate option of serve says', async () => {
  const serving = { locate: ({ digest }: { readonly digest: string }) => [`https://storage.test/${digest}`] };
  const { get } = await hubMirror({ serving });
  expect((await get(`GET ${blob(large.descriptor.digest)}`)).headers.get('location')).toMatch(/^https:\/\/storage/);
});

/** The second state of the tag. */
const next = sampleOf(
  new TextEncoder().encode(new TextDecoder().decode(manifest.bytes).replace('{', '{ ')),
  manifest.descriptor.mediaType,
);

/** Runs with a clock that only moves when it is told to. */
async function withClock(work: (later: (milliseconds: number) => void) => Promise<void>): Promise<void> {
  let now = Date.now();
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => now);
  try {
    await work((milliseconds) => {
      now += milliseconds;
    });
  } finally {
    clock.mockRestore();
  }
}

const digestOf = async (response: Response): Promise<string | null> => {
  await response.arrayBuffer();
  return response.headers.get('docker-content-digest');
};

test('P17: a manifest by digest is kept for ever', async () => {
  await withClock(async (later) => {
    const { get, asked } = await hubMirror({ fresh: 0 });
    const path = manifestPath(manifest.descriptor.digest);
    for (let times = 0; times < 3; times++) {
      expect(await bytesOf(await get(`GET ${path}`))).toEqual(manifest.bytes);
      later(1e12);
    }
    expect(asked()).toEqual([`GET hub.test${path}`]);
  });
});

test('P17: a tag is fresh for five minutes, then asked for with its ETag; 304 refreshes it', async () => {
  await withClock(async (later) => {
    const { get, asked } = await hubMirror();
    const line = `GET ${manifestPath('latest')}`;
    const etag = `"${manifest.descriptor.digest}"`;
    expect(await digestOf(await get(line))).toBe(manifest.descriptor.digest);
    later(299_000);
    expect(await digestOf(await get(line))).toBe(manifest.descriptor.digest);
    expect(asked()).toEqual([`GET hub.test${manifestPath('latest')}`]);
    for (let times = 0; times < 2; times++) {
      later(301_000);
      for (let clients = 0; clients < 2; clients++) expect((await get(line)).status).toBe(200);
      expect(asked()).toEqual([`GET hub.test${manifestPath('latest')} ${etag}`]);
    }
  });
});

test('P17: a tag that has moved is kept under the tag and under its digest', async () => {
  await withClock(async (later) => {
    const { get, asked, hub } = await hubMirror();
    await digestOf(await get(`GET ${manifestPath('latest')}`));
    await fill(hub.store, [{ ...next, tag: 'latest' }]);
    later(300_000);
    expect(await digestOf(await get(`GET ${manifestPath('latest')}`))).toBe(next.descriptor.digest);
    asked();
    expect(await bytesOf(await get(`GET ${manifestPath(next.descriptor.digest)}`))).toEqual(next.bytes);
    expect(await digestOf(await get(`GET ${manifestPath('latest')}`))).toBe(next.descriptor.digest);
    expect(asked()).toEqual([]);
  });
});

test('P17: with a time of 0 a tag is asked for each time', async () => {
  const { get, asked } = await hubMirror({ fresh: 0 });
  for (let times = 0; times < 3; times++) await digestOf(await get(`GET ${manifestPath('latest')}`));
  expect(asked()).toHaveLength(3);
});

test('P17: HEAD past the time asks upstream by HEAD, and stores no content', async () => {
  await withClock(async (later) => {
    const { get, asked, hub } = await hubMirror();
    await digestOf(await get(`GET ${manifestPath('latest')}`));
    await fill(hub.store, [{ ...next, tag: 'latest' }]);
    later(300_000);
    asked();
    expect(await digestOf(await get(`HEAD ${manifestPath('latest')}`))).toBe(next.descriptor.digest);
    expect(asked()).toEqual([`HEAD hub.test${manifestPath('latest')} "${manifest.descriptor.digest}"`]);
    hub.instead = gone;
    expect(await digestOf(await get(`GET ${manifestPath('latest')}`))).toBe(manifest.descriptor.digest);
  });
});

test('P17: stale on error: a tag is what it was, with Warning 110; one that upstream lacks is 404', async () => {
  await withClock(async (later) => {
    const clientOptions = { retries: { tries: 1 }, timeouts: { pause: 0, retryAfter: 0 } };
    const { get, hub } = await hubMirror({ clientOptions });
    await digestOf(await get(`GET ${manifestPath('latest')}`));
    later(300_000);
    for (const answer of [gone, () => new Response('', { status: 500 }), () => new Response('', { status: 429 })]) {
      hub.instead = answer;
      for (const method of ['GET', 'HEAD']) {
        const response = await get(`${method} ${manifestPath('latest')}`);
        expect(response.headers.get('warning')).toMatch(/^110 - ".*latest.* is as it was when it was kept/);
        expect(await digestOf(response)).toBe(manifest.descriptor.digest);
      }
    }
    hub.instead = refusal(404, 'MANIFEST_UNKNOWN');
    expect((await get(`GET ${manifestPath('latest')}`)).status).toBe(404);
    hub.instead = gone;
    expect((await get(`GET ${manifestPath('latest')}`)).status).toBe(503);
  });
});

test('P19: the digest is that of the body if upstream does not give it', async () => {
  const { get, hub } = await hubMirror();
  const headers = { 'content-type': manifest.descriptor.mediaType };
  hub.instead = () => new Response(manifest.bytes.slice(), { headers });
  expect(await digestOf(await get(`GET ${manifestPath('latest')}`))).toBe(manifest.descriptor.digest);
});

test('P19: a manifest above the limit of the client is an error, not a part of it', async () => {
  const clientOptions = { retries: { tries: 1 }, limits: { manifestBytes: 50 } };
  const { get } = await hubMirror({ clientOptions });
  expect((await get(`GET ${manifestPath('latest')}`)).status).toBe(502);
});

test('P20: upstream/<name>/<rest> is <rest> of that registry; an unknown name or no rest is 404 NAME_UNKNOWN', async () => {
  const [hub, quay] = [
    await upstreamWith(Object.values(samples)),
    await upstreamWith([{ ...next, tag: 'latest' }, config]),
  ];
  const upstreams = { quay: 'quay.test' };
  const { get, asked } = mirrorOf({ 'hub.test': hub.answer, 'quay.test': quay.answer }, { upstreams });
  expect(await digestOf(await get(`GET ${manifestPath('latest', 'upstream/quay/team/app')}`))).toBe(
    next.descriptor.digest,
  );
  expect(await digestOf(await get(`GET ${manifestPath('latest', 'team/app')}`))).toBe(manifest.descriptor.digest);
  expect(asked()).toEqual([
    `GET quay.test${manifestPath('latest', 'team/app')}`,
    `GET hub.test${manifestPath('latest', 'team/app')}`,
  ]);
  for (const name of ['upstream/other/team/app', 'upstream/quay', 'upstream/constructor/app']) {
    expect(await problemOf(await get(`GET ${manifestPath('latest', name)}`))).toBe('404 NAME_UNKNOWN');
  }
  expect(asked()).toEqual([]);
});

test('P20: a registry of the mirror may also be named by ns, as containerd does; another one is 404', async () => {
  const [hub, quay] = [
    await upstreamWith(Object.values(samples)),
    await upstreamWith([{ ...next, tag: 'latest' }, config]),
  ];
  const upstreams = { quay: 'quay.test' };
  const { get, asked } = mirrorOf({ 'hub.test': hub.answer, 'quay.test': quay.answer }, { upstreams });
  expect(await digestOf(await get(`GET ${manifestPath('latest')}?ns=QUAY.test`))).toBe(next.descriptor.digest);
  expect(await digestOf(await get(`GET ${manifestPath('latest')}?ns=hub.test`))).toBe(manifest.descriptor.digest);
  asked();
  expect(await problemOf(await get(`GET ${manifestPath('latest')}?ns=elsewhere.test`))).toBe('404 NAME_UNKNOWN');
  expect(await digestOf(await get(`GET ${manifestPath('latest', 'upstream/quay/library/app')}`))).toBe(
    next.descriptor.digest,
  );
  expect(asked()).toEqual([]);
});
