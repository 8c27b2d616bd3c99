import { expect, test } from 'vitest';
import { type Descriptor, mediaTypes } from '../../src/index.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { documentOf, referring } from '../contract/lists.ts';
import { samples } from '../contract/source.ts';
import { type Answer, createHosts, errorOf, refusal } from '../support/hosts.ts';

const { digest } = samples.manifest.descriptor;
const tag = digest.replace(':', '-');
const signature = 'application/vnd.example.signature';
const described = (sample: { readonly descriptor: Descriptor }, more: object = {}): Descriptor => ({
  ...sample.descriptor,
  ...more,
});
const signed = described(referring.signature, { artifactType: signature, annotations: { by: 'Ann' } });
const plain = described(referring.plain, { artifactType: 'application/vnd.example.plain' });
const listing = described(referring.listing, { artifactType: signature });

const index = (manifests: readonly object[] | null, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }), {
    headers: { 'content-type': mediaTypes.ociIndex, ...headers },
  });

/** A host by the part of the path before the last: `referrers`, `manifests`; what it does not name is 404. */
const host =
  (answers: { readonly referrers?: Answer; readonly manifests?: Answer }): Answer =>
  (request) => {
    const kind = new URL(request.url).pathname.split('/').at(-2) as keyof typeof answers;
    return (answers[kind] ?? refusal(404))(request);
  };

function fetcherOver(answers: Record<string, Answer>, options: ClientOptions = {}) {
  const hosts = createHosts(answers);
  const client = createClient({ transport: hosts.transport, retries: { tries: 1 }, ...options });
  const root = /https:\/\/|\/v2\/app/g;
  const short = () => hosts.log().map((line) => line.replace(root, '').replaceAll(digest, 'D').replaceAll(tag, 'T'));
  return { ...hosts, log: short, client, fetcher: client.fetcher('origin.test/app') };
}

const mirrored = { registries: { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } } };

test('the API is asked for an index, and believed', async () => {
  const { fetcher, log, requests } = fetcherOver({
    'origin.test': host({ referrers: () => index([signed, plain, signed]) }),
  });
  expect(await fetcher.referrers(digest)).toEqual([signed, plain]);
  expect(log()).toEqual(['GET origin.test/referrers/D']);
  expect(requests[0]?.headers.get('accept')).toBe(mediaTypes.ociIndex);
});

test.each([
  ['the host', 'artifactType', 1],
  ['the host, among other filters', 'foo, ArtifactType', 1],
  ['here', undefined, 2],
  ['here, where only something else was filtered', 'artifactTypes', 2],
])('a type is asked for, and filtered by %s', async (_, applied, count) => {
  const headers: Record<string, string> = applied === undefined ? {} : { 'oci-filters-applied': applied };
  const answer = (): Response => index(count === 1 ? [plain] : [signed, plain, listing], headers);
  const { fetcher, log } = fetcherOver({ 'origin.test': host({ referrers: answer }) });
  const found = await fetcher.referrers(digest, { artifactType: 'application/vnd.a+json; b="&"' });
  expect(found).toEqual(count === 1 ? [plain] : []);
  const query = 'artifactType=application%2Fvnd.a%2Bjson%3B%20b%3D%22%26%22';
  expect(log()).toEqual([`GET origin.test/referrers/D?${query}`]);
  const picked = await fetcher.referrers(digest, { artifactType: signature });
  expect(picked).toEqual(count === 1 ? [plain] : [signed, listing]);
});

test('pages are followed, and each may be filtered or not', async () => {
  const pages = [
    () => index([plain, signed], { link: `</v2/app/referrers/${digest}?page=2>; rel="next"` }),
    () => index([listing], { 'oci-filters-applied': 'artifactType', link: '<?page=2>; rel="next"' }),
  ];
  const { fetcher, log } = fetcherOver(
    { 'mirror.test': host({ referrers: () => pages.shift()?.() ?? refusal(500)(new Request('http://x')) }) },
    { config: mirrored },
  );
  expect(await fetcher.referrers(digest, { artifactType: signature })).toEqual([signed, listing]);
  expect(log()).toEqual([
    `GET mirror.test/referrers/D?ns=origin.test&artifactType=${encodeURIComponent(signature)}`,
    'GET mirror.test/referrers/D?page=2&ns=origin.test',
  ]);
});

test.each([400, 401, 403, 404, 405, 406, 410, 501])('where the API is a %i, the tag is read', async (status) => {
  const { fetcher, log } = fetcherOver({
    'origin.test': host({ referrers: refusal(status), manifests: () => index([signed, plain, plain]) }),
  });
  expect(await fetcher.referrers(digest)).toEqual([signed, plain]);
  expect(await fetcher.referrers(digest, { artifactType: signature })).toEqual([signed]);
  expect(log().slice(0, 2)).toEqual(['GET origin.test/referrers/D', 'GET origin.test/manifests/T']);
});

test('where the API is a page for people, the tag is read; where there is none, that page is the error', async () => {
  const referrers = (): Response => new Response('<html>', { headers: { 'content-type': 'text/html' } });
  const tagged = fetcherOver({ 'origin.test': host({ referrers, manifests: () => index([signed]) }) });
  expect(await tagged.fetcher.referrers(digest)).toEqual([signed]);
  const untagged = fetcherOver({ 'origin.test': host({ referrers }) });
  expect((await errorOf(untagged.fetcher.referrers(digest))).code).toBe('BAD_RESPONSE');
});

test.each([
  ['UNAUTHORIZED', 401],
  ['DENIED', 403],
])('who is refused (%s) and finds no tag is told so', async (code, status) => {
  const { fetcher } = fetcherOver({ 'origin.test': host({ referrers: refusal(status) }) });
  expect((await errorOf(fetcher.referrers(digest))).code).toBe(code);
});

test.each([
  ['RATE_LIMITED', 429],
  ['UNAVAILABLE', 500],
  ['UNAVAILABLE', 503],
])('an API that fails (%s) is not one that is not there', async (code, status) => {
  const { fetcher, log } = fetcherOver({
    'origin.test': host({ referrers: refusal(status), manifests: () => index([signed]) }),
  });
  expect((await errorOf(fetcher.referrers(digest))).code).toBe(code);
  expect(log()).toEqual(['GET origin.test/referrers/D']);
});

test('a second page that is not there is no API that is not there', async () => {
  const referrers = ({ url }: Request): Response | Promise<Response> =>
    url.includes('page') ? refusal(404)(new Request(url)) : index([signed], { link: '<?page=2>; rel="next"' });
  const { fetcher } = fetcherOver({ 'origin.test': host({ referrers, manifests: () => index([plain]) }) });
  const error = await errorOf(fetcher.referrers(digest));
  expect([error.code, error.host]).toEqual(['BAD_RESPONSE', 'origin.test']);
});

test('neither the API nor the tag means that nobody refers to it, if all hosts say so', async () => {
  const none = fetcherOver({ 'mirror.test': host({}), 'origin.test': host({}) }, { config: mirrored });
  expect(await none.fetcher.referrers(digest)).toEqual([]);
  expect(none.log()).toEqual([
    'GET mirror.test/referrers/D?ns=origin.test',
    'GET mirror.test/manifests/T?ns=origin.test',
    'GET origin.test/referrers/D',
    'GET origin.test/manifests/T',
  ]);
  const down = fetcherOver({ 'mirror.test': host({}), 'origin.test': refusal(503) }, { config: mirrored });
  const error = await errorOf(down.fetcher.referrers(digest));
  expect([error.code, error.attempts.map(({ host, outcome }) => `${host} ${outcome}`)]).toEqual([
    'UNAVAILABLE',
    ['mirror.test NOT_FOUND', 'origin.test UNAVAILABLE'],
  ]);
});

test('the first host with a list has the word, also with an empty one of its API', async () => {
  const origin = host({ referrers: () => index([signed]) });
  const lacking = fetcherOver({ 'mirror.test': host({}), 'origin.test': origin }, { config: mirrored });
  expect(await lacking.fetcher.referrers(digest)).toEqual([signed]);
  const broken = fetcherOver({ 'mirror.test': refusal(503), 'origin.test': origin }, { config: mirrored });
  expect(await broken.fetcher.referrers(digest)).toEqual([signed]);
  for (const manifests of [[], null]) {
    const empty = host({ referrers: () => index(manifests) });
    const { fetcher, log } = fetcherOver({ 'mirror.test': empty, 'origin.test': origin }, { config: mirrored });
    expect(await fetcher.referrers(digest)).toEqual([]);
    expect(log()).toHaveLength(1);
  }
});

test('a mirror that is not trusted with tags is asked for the tag of the referrers', async () => {
  const mirrors = [{ url: 'https://mirror.test', capabilities: ['referrers'] as const }];
  const config = { registries: { 'origin.test': { mirrors, origin: 'never' as const } } };
  const { fetcher } = fetcherOver({ 'mirror.test': host({ manifests: () => index([signed]) }) }, { config });
  expect(await fetcher.referrers(digest)).toEqual([signed]);
});

test('the tag of a sha512 digest is cut as the specification says', async () => {
  const { fetcher, log } = fetcherOver({ 'origin.test': host({}) });
  await fetcher.referrers(samples.wide.descriptor.digest);
  const hex = samples.wide.descriptor.digest.slice('sha512:'.length);
  expect(log()[1]).toBe(`GET origin.test/manifests/sha512-${hex.slice(0, 64)}`);
});

test('under the tag an image lists nothing; what is no document is BAD_RESPONSE', async () => {
  const image = (): Response =>
    new Response(referring.plain.bytes.slice(), { headers: { 'content-type': mediaTypes.ociManifest } });
  expect(await fetcherOver({ 'origin.test': host({ manifests: image }) }).fetcher.referrers(digest)).toEqual([]);
  const page = (): Response => new Response('<html>', { headers: { 'content-type': 'text/html' } });
  const { fetcher } = fetcherOver({ 'origin.test': host({ manifests: page }) });
  expect((await errorOf(fetcher.referrers(digest))).code).toBe('BAD_RESPONSE');
});

test('a document under the tag that has not the digest it is said to have is DIGEST_MISMATCH', async () => {
  const manifests = (): Response => index([signed], { 'docker-content-digest': digest });
  const { fetcher } = fetcherOver({ 'origin.test': host({ manifests }) });
  expect((await errorOf(fetcher.referrers(digest))).code).toBe('DIGEST_MISMATCH');
});

test('where a list does not tell types, those of the documents count', async () => {
  const bare = [referring.signature, referring.plain, referring.untyped].map(({ descriptor }) => descriptor);
  const gone = documentOf(mediaTypes.ociIndex, { manifests: [], annotations: { gone: 'yes' } }).descriptor;
  const manifests = ({ url }: Request): Response | Promise<Response> => {
    if (url.includes(tag)) return index([...bare, gone, plain]);
    const found = Object.values(referring).find(({ descriptor }) => url.includes(descriptor.digest));
    if (!found) return refusal(404)(new Request(url));
    return new Response(found.bytes.slice(), { headers: { 'content-type': found.descriptor.mediaType } });
  };
  const { fetcher, log } = fetcherOver({ 'origin.test': host({ manifests }) });
  const ofSignature = { ...referring.signature.descriptor, artifactType: signature };
  expect(await fetcher.referrers(digest, { artifactType: signature })).toEqual([ofSignature]);
  expect(log()).toHaveLength(2 + 4);
  const ofConfig = { ...referring.plain.descriptor, artifactType: samples.config.descriptor.mediaType };
  expect(await fetcher.referrers(digest, { artifactType: ofConfig.artifactType })).toEqual([ofConfig]);
  expect(await fetcher.referrers(digest)).toHaveLength(4);
});

test.each(['referrers', 'manifests'] as const)(
  'an entry of %s that cannot be read is left out with a warning',
  async (kind) => {
    const events: string[] = [];
    const { fetcher } = fetcherOver(
      { 'origin.test': host({ [kind]: () => index([null as never, { ...plain, digest: 'sha256:1' }, signed]) }) },
      { onEvent: (event) => void (event.type === 'warning' && events.push(event.text)) },
    );
    expect(await fetcher.referrers(digest)).toEqual([signed]);
    expect(events).toEqual([
      'Left out 2 listed referrers that cannot be read, the first as field "manifests[0]" is "null": not an object',
    ]);
  },
);
