import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readSources } from './support/sources.ts';

/** For each row of the table of bounds, the files that hold it and what they say there. */
const limits: Readonly<Record<string, readonly (readonly [file: string, text: string])[]>> = {
  'connect, headers of a response': [['config/settings', 'Default 30,000']],
  'no bytes of a body': [['config/settings', 'idle']],
  'speed of a body, if a host is left that has not failed': [['config/settings', 'minimumSpeed']],
  'response of a host, before the next one is requested, too': [
    ['remote/client-options', 'hedge = 300'],
    ['http/lateness', 'factor = 3'],
    ['contest', 'grace = 1 / 3'],
  ],
  'body of a host that crawls, or brings nothing, if a host is left that has not failed': [
    ['remote/client-options', 'crawl = 5_000'],
    ['content/pace', 'share = 1 / 10'],
    ['content/pace', 'assumed = 1_048_576'],
  ],
  'host that was silent, or lacked a repository, requested last': [['standing', 'firstPause = 5_000']],
  'consecutive reopenings that bring under 64 KiB, with a wait from the second on': [['content/resume', '65_536']],
  'reopenings of one reading in all': [['content/resume', '100 + Math.ceil((end - start) / 1_048_576)']],
  'one operation': [['config/settings', 'operation']],
  '`Retry-After` obeyed': [['config/settings', 'retryAfter']],
  'dead host skipped': [['config/settings', 'pause']],
  'tries for a host, in full when no other is left': [['http/retry', 'defaultTries = 3']],
  redirects: [['http/redirects', 'limit = 10']],
  'concurrent exchanges with an origin': [['http/limits', 'mostExchanges = 8']],
  'wait for exchanges whose bodies nobody reads; a warning after 5 s': [['http/limits', 'unread = 60_000']],
  'manifest, token response, error body': [
    ['oci/manifest', 'defaultManifestBytes = 4_194_304'],
    ['http/tokens', '1_048_576'],
    ['http/error-body', 'errorBytes = 65_536'],
  ],
  'bytes discarded to reach a range': [['remote/client', 'limits.discardBytes ?? 16 * mebibyte']],
  'contents of a mirror; the order of use on the disk is as old as': [['server/mirror/contents', 'saveAfter = 60_000']],
  'repositories of a mirror in memory, tags that are remembered of one, bytes of their file': [
    ['server/mirror/tag-records', 'mostRepositories = 1_000'],
    ['server/mirror/tag-records', 'mostTags = 10_000'],
    ['server/mirror/small-files', 'mostBytes = 16_777_216'],
  ],
  "concurrent downloads of a mirror's own client from one registry": [
    ['server/mirror/pull-through', 'concurrency = 64'],
  ],
  'encodings applied to one body': [['remote/response', 'longestChain = 3']],
  'zstd window': [['codec/zstd', 'largestWindow = 2 ** 27']],
  'pages, bytes of a list; tags of a page': [
    ['remote/client', 'limits.pages ?? 1_000'],
    ['remote/client', 'limits.listBytes ?? 16 * mebibyte'],
    ['remote/lists', 'mostTags = 1_000_000'],
  ],
  'connections of a content, of 8 MiB or more, while that helps; its parts; bytes that come before it is their turn, of all contents of a client':
    [
      ['content/split-reading', 'mostConnections = 12'],
      ['content/parts', 'least: 1_048_576, most: 4_194_304'],
      ['content/parts', 'mostAhead = 16_777_216'],
    ],
  'concurrent contents of a copy': [
    ['copy/flow', 'mostLarge = { fast: 4, slow: 6 }'],
    ['copy/flow', 'mostSmall = 64'],
    ['copy/flow', 'smallBytes = 1_048_576'],
  ],
  'depth, manifests, their bytes, contents of a copy': [
    ['oci/choose-image', 'mostDepth = 16'],
    ['copy/documents', 'manifests: 10_000, bytes: 268_435_456'],
    ['copy/walk', 'mostContents = 100_000'],
  ],
  'values of a manifest, an index or a page of referrers': [['text/json', 'mostValues = 200_000']],
  'depth, number, bytes of the indexes searched for an image': [
    ['oci/choose-image', 'mostDepth = 16'],
    ['remote/resolve-reference', 'indexes: 1_000, bytes: 67_108_864'],
  ],
  'entries of an image; memory for their names': [['files/image-files', 'entries: 1_000_000, memory: 160 * 1_048_576']],
  'table of contents of a layer: bytes, entries, bytes of a row; beyond that the layer is read': [
    ['files/toc', 'mostBytes = 64 * 1_048_576'],
    ['files/toc', 'mostEntries = 1_000_000'],
    ['files/toc-rows', 'mostRowBytes = 1_048_576'],
  ],
  'extended headers before an entry of an archive, parts of a sparse file': [
    ['files/tar', 'mostMetadata = 1_114_112'],
    ['files/sparse', 'mostParts = 100_000'],
  ],
  'file of an image in memory': [['files/layer-file', 'defaultLimit = 64 * 1_048_576']],
  'small layer that is read whole and kept, all of an image': [
    ['files/layers', 'small = 262_144'],
    ['files/layers', 'mostKept = 16 * 1_048_576'],
  ],
  'links followed in an image': [['files/layer-tree', 'mostLinks = 40']],
  'tokens and authorizations remembered, digests with hosts that sent wrong bytes': [
    ['bounded-map', 'most = 1000'],
    ['content/attempts', 'most = 1000'],
  ],
  'documents kept between `resolve` and `fetch`': [['remote/at-hand', '16_777_216']],
  '`index.json` of a layout: bytes, values; documents in a layout': [
    ['store/index-file', 'mostBytes = 67_108_864'],
    ['store/index-file', 'mostValues = 2_000_000'],
    ['store/walk', 'mostDocuments = 100_000'],
  ],
  'memory of responses that are sent from files: for each two buffers of 1 MiB, smaller ones of at least 32 KiB if there are many':
    [
      ['store/reading/file-body', 'lentMemory = 33_554_432'],
      ['store/reading/file-body', 'mostLent = 1_048_576'],
      ['store/reading/file-body', 'leastLent = 32_768'],
    ],
  'bytes of a request read ahead of its reader': [['server/node/request', 'mostAhead = 131_072']],
  'files of a layout known to be right or of a type, owners of locks watched': [
    ['store/blobs', 'mostTypes = 10_000'],
    ['store/verified', 'mostFiles = 10_000'],
    ['store/owner', 'mostSightings = 10_000'],
  ],
  'page of a server: repositories, kinds of errors, requests described; names without traffic': [
    ['app/statistics', 'mostRepositories = 1_000'],
    ['app/statistics', 'mostErrors = 50'],
    ['app/statistics', 'mostDescribed = 1_000'],
    ['app/server', 'mostNames = 100'],
  ],
  'requests under way when a server stops; content of a mirror in memory': [
    ['cli/serve/serve', 'drain = 10_000'],
    ['cli/serve/settings', 'memoryBytes = 2 ** 30'],
  ],
  'head of a response, text of an error, errors in its body': [
    ['http/socket/head', 'headBytes = 65_536'],
    ['combine', 'longestMessage = 2_000'],
    ['http/error-body', 'mostErrors = 8'],
  ],
  'check whether a blob is in a bucket; concurrent ones of an origin; blobs of a front remembered': [
    ['server/redirect/presence', 'checkTimeout = 5_000'],
    ['server/redirect/presence', 'concurrency = 64'],
    ['server/redirect/presence', 'remembered = 100_000'],
  ],
  'configuration file, output of a credential helper, logins of one': [
    ['config/document/document', 'longestText = 4 * 1024 * 1024'],
    ['config/docker/run-helper', 'longestOutput = 256 * 1024'],
    ['config/docker/helper-credentials', 'mostLogins = 1000'],
  ],
  'links, challenges of one header field': [['http/header-fields', '1_000']],
  'manifest, in a layout': [['oci/manifest', 'storedManifestBytes = 67_108_864']],
  'levels of JSON': [['text/json', 'deepest = 1_000']],
  'secrets remembered to be hidden, characters of each': [
    ['redaction', 'mostAdded = 1_000'],
    ['redaction', 'longest = 512'],
  ],
  'descriptors that `described` remembers; stores of repositories that a registry keeps': [
    ['registry/described', 'entries = 10_000'],
    ['registry/memory-registry', 'mostStores = 1_000'],
    ['registry/layout-registry', 'mostStores = 1_000'],
  ],
  'content that a server took stays before its manifest comes': [['store/push/expected', 'defaultGrace = 3_600_000']],
  'small content of layouts that a server sends: bytes of one, of all that are kept in memory': [
    ['store/reading/small', 'mostSmallBytes = 65_536'],
    ['store/reading/small', 'mostKeptBytes = 16_777_216'],
  ],
  'list of an upstream whose pages a server gives out: time for which it is kept, number of such lists, their names': [
    ['server/registry/lists', 'pagesTime = 30_000'],
    ['server/registry/lists', 'mostLists = 16'],
    ['server/registry/lists', 'mostNames = 500_000'],
  ],
  'logins that are remembered, right and wrong ones each; comparisons of passwords that wait, of one address; wrong logins of a user from an address in a minute':
    [
      ['server/htpasswd/logins', 'mostRemembered = 10_000'],
      ['server/htpasswd/logins', 'mostWaiting = 32'],
      ['server/htpasswd/logins', 'mostOfAddress = 8'],
      ['server/htpasswd/logins', 'mostWrong = 10'],
    ],
  'characters of a bearer token, entries of its access, certificates of its chain; valid ones remembered, for how long; scopes of a token request':
    [
      ['server/tokens/verify', 'mostCharacters = 65_536'],
      ['server/tokens/verify', 'mostEntries = 10_000'],
      ['server/tokens/chain', 'mostCertificates = 8'],
      ['server/tokens/verify', 'mostRemembered = 1_000'],
      ['server/tokens/verify', 'rememberedTime = 60_000'],
      ['server/access/token-endpoint', 'mostScopes = 100'],
    ],
  'bytes of a key set at a URL, time to fetch it, age of it, pause for an unknown key': [
    ['server/tokens/key-set-url', 'mostBytes = 1_048_576'],
    ['server/tokens/key-set-url', 'timeLimit = 5_000'],
    ['server/tokens/key-set-url', 'lifetime = 600_000'],
    ['server/tokens/key-set-url', 'unknownPause = 30_000'],
  ],
  'connection to a server on which the client does nothing': [['server/listen', 'defaultIdle = 300_000']],
  'open uploads into memory, bytes of one, idle time': [
    ['store/memory/uploads', 'uploadBytes: 268_435_456, uploads: 64, uploadIdle: 300_000'],
  ],
  'bytes of a body read at a time; memory kept for bodies, and for a connection': [
    ['http/socket/slabs', 'slabBytes = 262_144'],
    ['http/socket/slabs', 'mostIdle = 32'],
    ['http/socket/connection', 'readBytes = 65_536'],
  ],
  'line before a chunk, trailer after the chunks': [
    ['http/socket/framing', 'chunkLineBytes = 4_096'],
    ['http/socket/head', 'headBytes = 65_536'],
  ],
};

const sources = new Map((await readSources()).map(({ name, text }) => [name, text]));
const page = await readFile(fileURLToPath(new URL('../docs/architecture.md', import.meta.url)), 'utf8');
const [, table = ''] = /\n## Bounds\n([^#]*)/.exec(page) ?? [];
const rows = [...table.matchAll(/^\| ([^|]+) \| ([^|]+) \| ([^|]*) ?\|$/gm)]
  .slice(2)
  .map(([, what = '', , option = '']) => ({
    what,
    options: [...option.matchAll(/`([a-zA-Z.]+)/g)].map(([, name = '']) => name),
  }));

test('each row of the table of bounds is a limit in the code, and none is forgotten', () => {
  expect(rows.length).toBeGreaterThan(25);
  expect(rows.map(({ what }) => what).sort()).toEqual(Object.keys(limits).sort());
  const missing = Object.values(limits)
    .flat()
    .filter(([file, text]) => !sources.get(file)?.includes(text));
  expect(missing).toEqual([]);
});

test('each option of the table exists', () => {
  const options =
    /^(?:config\/settings|remote\/client-options|copy\/options|source|files\/layer-file|server\/redirect\/presence)$/;
  const known = [...sources].flatMap(([name, text]) => (options.test(name) ? [text] : [])).join();
  const names = rows.flatMap((row) => row.options);
  expect(names.length).toBeGreaterThan(15);
  const unknown = names.filter((name) => !new RegExp(`\\b${name.split('.').at(-1)}\\b`).test(known));
  expect(unknown).toEqual([]);
});
