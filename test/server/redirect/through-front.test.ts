import { afterEach, beforeEach, expect, test } from 'vitest';
import { createClient } from '../../../src/index.ts';
import { tokenAccess } from '../../../src/server/access/tokens.ts';
import { listen } from '../../../src/server/listen.ts';
import { redirectFront } from '../../../src/server/redirect/front.ts';
import type { Handler } from '../../../src/server/registry/exchange.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import { memoryStore } from '../../../src/store/memory.ts';
import { samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { failsWith } from '../../support/http.ts';

const { manifest, large, config } = samples;
const blobOf = (digest: string): string => `/containers/images/${digest}`;

/** What has to be closed after a test. */
const open: (() => Promise<void>)[] = [];
/** Requests to all servers, in their order: `front GET /v2/app/tags/list`; and whether a secret came with one. */
let log: string[];
let leaks: string[];

beforeEach(() => {
  [log, leaks] = [[], []];
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()));
});

/** A server whose requests are logged. */
async function server(name: string, handler: Handler): Promise<string> {
  const { url, close } = await listen(async (request, connection) => {
    const { pathname, search } = new URL(request.url);
    const range = request.headers.get('range');
    log.push(`${name} ${request.method} ${pathname}${search}${range === null ? '' : ` ${range}`}`);
    const seen = [...request.headers].filter(([, value]) => value.includes('secret'));
    leaks.push(...seen.map(([header]) => `${name} ${header}`));
    return handler(request, connection);
  });
  open.push(close);
  return url;
}

/** A bucket with these blobs, and HEAD and ranges. */
const bucketWith =
  (...blobs: readonly { readonly descriptor: { readonly digest: string }; readonly bytes: Uint8Array }[]): Handler =>
  async (request) => {
    const path = decodeURIComponent(new URL(request.url).pathname);
    const found = blobs.find(({ descriptor }) => path === blobOf(descriptor.digest));
    const xml = '<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>The key does not exist.</Message></Error>';
    if (!found) return new Response(xml, { status: 404, headers: { 'content-type': 'application/xml' } });
    const { bytes } = found;
    const [, from] = /^bytes=(\d+)-/.exec(request.headers.get('range') ?? '') ?? [];
    const start = Number(from ?? 0);
    const headers = {
      'content-length': String(bytes.length - start),
      ...(from !== undefined && { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    };
    const body = request.method === 'HEAD' ? null : bytes.slice(start);
    return new Response(body as BodyInit | null, { status: from === undefined ? 200 : 206, headers });
  };

interface Parts {
  readonly bucket?: Handler;
  /** Around the registry behind the front. */
  readonly guard?: (handler: Handler) => Handler;
  /** Changes what the front responds. */
  readonly change?: (response: Response, request: Request) => Response;
}

/** A client of `team/app` at a front, before a registry that has it as `project/team/app`. */
async function through({ bucket = bucketWith(large), guard = (handler) => handler, change }: Parts = {}) {
  const store = memoryStore();
  await fill(store);
  for (const tag of ['a', 'b', 'c']) await store.tag(manifest.descriptor, tag);
  const registry = serve(({ name }) => (name === 'project/team/app' ? store : memoryStore()));
  const upstream = await server('upstream', guard(registry));
  const buckets = [{ url: await server('bucket', bucket) }];
  const handler = redirectFront({ upstream, prefix: 'project', buckets, client: 'socket' });
  const front = await server('front', async (request, connection) => {
    const response = await handler(request, connection);
    return change?.(response, request) ?? response;
  });
  const client = createClient({
    config: {
      registries: {
        'registry.test': {
          mirrors: [{ url: front, omitNamespace: true, headers: { 'x-team': 'secret', cookie: 'a=secret' } }],
          origin: 'never',
        },
      },
      credentials: { [new URL(front).host]: { username: 'ann', password: 'secret' } },
    },
    retries: { backoff: 1 },
  });
  open.push(client.close);
  return { fetcher: client.fetcher('registry.test/team/app'), front, upstream };
}

/** A response with other headers. */
function withHeaders(response: Response, changes: Record<string, string>): Response {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(changes)) headers.set(name, value);
  return new Response(response.body, { status: response.status, headers });
}

const locationWith = (response: Response, from: string, to: string): Response => {
  const location = response.headers.get('location');
  return location === null ? response : withHeaders(response, { location: location.replace(from, to) });
};

const without = (name: string): string[] => log.filter((line) => !line.startsWith(name));

test('a client follows 307 on manifests and blobs, across hosts, and for HEAD', async () => {
  const { fetcher } = await through();
  const { descriptor } = await fetcher.resolve('latest');
  expect(descriptor.digest).toBe(manifest.descriptor.digest);
  for (const sample of [manifest, large, config]) {
    const content = await fetcher.fetch(sample.descriptor);
    expect(Buffer.compare(await content.bytes(), sample.bytes)).toBe(0);
    expect(content.verified).toBe(true);
  }
  const name = '/v2/project/team/app';
  expect(log).toEqual([
    'front HEAD /v2/team/app/manifests/latest',
    `upstream HEAD ${name}/manifests/latest`,
    `front GET /v2/team/app/manifests/${manifest.descriptor.digest}`,
    `upstream GET ${name}/manifests/${manifest.descriptor.digest}`,
    `front GET /v2/team/app/blobs/${large.descriptor.digest}`,
    `bucket HEAD ${blobOf(large.descriptor.digest)}`,
    `bucket GET ${blobOf(large.descriptor.digest)}`,
    `front GET /v2/team/app/blobs/${config.descriptor.digest}`,
    `bucket HEAD ${blobOf(config.descriptor.digest)}`,
    `upstream GET ${name}/blobs/${config.descriptor.digest}`,
  ]);
});

test('a client takes the digest of a tag from the last host only', async () => {
  const wrong = `sha256:${'0'.repeat(64)}`;
  const { fetcher } = await through({
    change: (response) => withHeaders(response, { 'docker-content-digest': wrong }),
  });
  expect((await fetcher.resolve('latest')).descriptor.digest).toBe(manifest.descriptor.digest);
});

test('a client gets the token that the upstream requires, for its name of the repository, and sends it nowhere else', async () => {
  const access = tokenAccess({ realm: '/token', service: 'upstream', expiresIn: 300 });
  const guard =
    (handler: Handler): Handler =>
    async (request, connection) =>
      (new URL(request.url).pathname === '/token' ? access.token : access.protect(handler))(request, connection);
  const { fetcher } = await through({ guard });
  const { descriptor } = await fetcher.resolve('latest');
  await (await fetcher.fetch(descriptor)).bytes();
  await (await fetcher.fetch(large.descriptor)).bytes();
  const requested = log.filter((line) => line.includes('/token?'));
  expect(requested).toHaveLength(1);
  expect(new URL(requested[0]?.split(' ')[2] ?? '', 'http://a').searchParams.get('scope')).toBe(
    'repository:project/team/app:pull',
  );
  expect(without('upstream').filter((line) => line.includes('token'))).toEqual([]);
  expect(leaks.filter((leak) => !leak.startsWith('front '))).toEqual([]);
});

test('a client sends its headers and its login to the front alone: another port is another origin', async () => {
  const { fetcher } = await through();
  await fetcher.resolve('latest');
  await (await fetcher.fetch(large.descriptor)).bytes();
  expect(new Set(leaks)).toEqual(new Set(['front cookie', 'front x-team']));
});

test.each([
  ['escaped', 'sha256:', 'sha256%3A'],
  ['escaped in small letters', 'sha256:', 'sha256%3a'],
])('a client accepts the colon of a digest %s in a Location', async (_, from, to) => {
  const { fetcher } = await through({ change: (response) => locationWith(response, from, to) });
  for (const sample of [manifest, large]) {
    expect(Buffer.compare(await (await fetcher.fetch(sample.descriptor)).bytes(), sample.bytes)).toBe(0);
  }
});

test('a client resumes at the front, which may choose another place, and the range gets there', async () => {
  let served = 0;
  const whole = bucketWith(large);
  const bucket: Handler = async (request) => {
    const response = await whole(request);
    if (request.method === 'HEAD' || served++ > 0) return response;
    const chunks = [large.bytes.slice(0, 100_000)];
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const chunk = chunks.shift();
        if (chunk) controller.enqueue(chunk);
        else controller.error(new Error('broken off'));
      },
    });
    return new Response(body, { headers: response.headers });
  };
  const { fetcher } = await through({ bucket });
  expect(Buffer.compare(await (await fetcher.fetch(large.descriptor)).bytes(), large.bytes)).toBe(0);
  const { digest } = large.descriptor;
  const gets = log.filter((line) => / GET /.test(line)).map((line) => line.replace(/=[1-9]\d*-\d*$/, '=…'));
  expect(gets).toEqual([
    `front GET /v2/team/app/blobs/${digest}`,
    `bucket GET ${blobOf(digest)}`,
    `front GET /v2/team/app/blobs/${digest} bytes=…`,
    `bucket GET ${blobOf(digest)} bytes=…`,
  ]);
});

test('a client reads a list that comes whole, and one whose first page comes again and again', async () => {
  const { fetcher } = await through();
  expect(await fetcher.tags()).toEqual(['a', 'b', 'c', 'latest']);
  // A registry that only knows the front's name of itself: the front drops what the link to the next page says.
  const front: { url?: string } = {};
  const guard = (): Handler => async () =>
    Response.json(
      { name: 'team/app', tags: ['a', 'b'] },
      { headers: { link: `<${front.url}/v2/team/app/tags/list?n=2&last=b>; rel="next"` } },
    );
  const again = await through({ guard });
  front.url = again.front;
  log = [];
  expect(await again.fetcher.tags()).toEqual(['a', 'b']);
  expect(log.length).toBeLessThan(8);
});

test('a client reports what storage says is wrong, in XML, as the content not being there', async () => {
  const gone: Handler = async (request) => (request.method === 'HEAD' ? new Response(null) : bucketWith()(request));
  const { fetcher } = await through({ bucket: gone });
  const content = await fetcher
    .fetch(large.descriptor)
    .then((found) => found.bytes())
    .catch((error: unknown) => error);
  expect(content).toEqual(failsWith('NOT_FOUND'));
  expect(String(content)).not.toContain('secret');
});
