import { bytesBody } from '../../src/body.ts';
import { commands } from '../../src/cli/commands.ts';
import { readValue } from '../../src/cli/limits.ts';
import { parseLine } from '../../src/cli/parse.ts';
import { readHostsToml } from '../../src/config/containerd/read.ts';
import { readCertificateNames } from '../../src/config/containers/certificates.ts';
import { readRegistriesConf } from '../../src/config/containers/read.ts';
import { credentialsFor, expandShortName } from '../../src/config/credentials.ts';
import { readDockerConfig } from '../../src/config/docker/read.ts';
import { describeComplaint, parseHelperAnswer } from '../../src/config/docker/run-helper.ts';
import { parseJson } from '../../src/config/document/json.ts';
import { parseToml } from '../../src/config/document/toml.ts';
import { parseYaml } from '../../src/config/document/yaml.ts';
import { decodeText } from '../../src/config/files.ts';
import { readRegistriesYaml } from '../../src/config/k3s/read.ts';
import { formatOf, readOwnConfig } from '../../src/config/own/read.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { pemName, pemProblem, readPem } from '../../src/config/pem.ts';
import { readRegctlConfig } from '../../src/config/regctl/read.ts';
import { compileRewrites, patternProblem } from '../../src/config/rewrite.ts';
import { configKindOf } from '../../src/config/usual-places.ts';
import { cannot, configError } from '../../src/errors.ts';
import { createNearestPath } from '../../src/files/layer.ts';
import { createLayerTree, overlay } from '../../src/files/layer-tree.ts';
import { readTar } from '../../src/files/tar.ts';
import { parseHeader, parseRecords } from '../../src/files/tar-header.ts';
import { rowsOf } from '../../src/files/toc-rows.ts';
import { isListed, parseTarget } from '../../src/http/address.ts';
import { connectionError } from '../../src/http/connection-error.ts';
import { readErrorBody } from '../../src/http/error-body.ts';
import { tlsProblems } from '../../src/http/tls.ts';
import { parseDocument, parseDocumentText, parseIndex, parseManifest } from '../../src/oci/manifest.ts';
import { parseRange } from '../../src/oci/range.ts';
import { isOfType, referrerOf } from '../../src/oci/referrer.ts';
import { sameRegistry } from '../../src/oci/registry.ts';
import { proxyFor } from '../../src/proxy.ts';
import { describeDocument, describeHead } from '../../src/remote/response.ts';
import { parseHtpasswd } from '../../src/server/htpasswd/parse.ts';
import { clientBy } from '../../src/server/redirect/client-address.ts';
import { redirectFront } from '../../src/server/redirect/front.ts';
import { readFront } from '../../src/server/redirect/front-file.ts';
import { serve } from '../../src/server/registry/serve.ts';
import { parseBundle, parseKeySet, readKey } from '../../src/server/tokens/keys.ts';
import { verifyToken } from '../../src/server/tokens/verify.ts';
import { entryOf } from '../../src/store/entries.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { readJson } from '../../src/text/json.ts';
import { checkOptions, flag } from '../../src/text/problems.ts';
import { nearest } from '../../src/text/quote.ts';
import { end, part } from './tar.ts';

/** A text of a unit that is repeated between a beginning and an end. */
export interface Shape {
  readonly before?: string;
  readonly after?: string;
  /** Default: all of `units`. */
  readonly units?: readonly string[];
}

/** Something that reads a text from outside, or puts it into a message. */
export interface TextReader {
  readonly read: (text: string) => unknown;
  /** Default: the units alone. */
  readonly shapes?: readonly Shape[];
  /** Characters of the longer text, for what is slow, though in proportion to its text. */
  readonly length?: number;
}

/** Separators, quotes, escapes and what else decides something in one of the grammars, once and in short sequences. */
export const units: readonly string[] = [
  ...' !"#$%&\'()*+,-./0:;<=>?@A[\\]^_`a{|}~\n\t\r\0\u00a0\u0085\u2028\u{1f600}\ud800\ufffd',
  ...['://', '//', '@:', ':@', ':0', 'a:', 'a=', 'a,', 'a.', 'a/', '../', './', '/.', ', ', '; ', '\\"', '\\\\', '""'],
  ...['[[', '[]', '{{', '{}', '<>', '<,', '"a"', "''", '%20', '%2', '\r\n', '\n\n', '\n ', '\n\t', ' \t', '- ', '# '],
  ...[
    'a b',
    'a="',
    'a=",',
    '<a>;',
    '<a>; a=',
    'Basic ',
    'a a=a,',
    '::',
    '=\n',
    'a:\n',
    '\\u00',
    '__',
    '.-',
    'a-',
    '--',
  ],
];

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const json = (value: unknown): string => JSON.stringify(value);
const url = (text: string): URL => new URL(`http://a.example/${text}`);

/** A text in a field of a document, and as the name of one. */
const fields = (before: string, after: string): Shape[] => [
  { before: `${before}"a":"`, after: `"${after}` },
  { before: `${before}"`, after: `":5${after}` },
];

const descriptor = json({ mediaType: 'a/b', digest: `sha256:${'0'.repeat(64)}`, size: 5 });
const manifest = `{"schemaVersion":2,"config":${descriptor},"layers":`;
const documents: readonly Shape[] = [
  {},
  ...fields('{', '}'),
  { before: `${manifest}[]`, units: [' '], after: '}' },
  { before: `${manifest}[`, units: [`${descriptor},`], after: `${descriptor}]}` },
  { before: `${manifest}[`, units: ['5,'], after: '5]}' },
  { before: `${manifest}[${descriptor.slice(0, -1)},"annotations":{"a":"`, after: '"}}]}' },
  { before: `${manifest}[{"mediaType":"`, after: '"}]}' },
  { before: '{"schemaVersion":2,"manifests":[', units: [`${descriptor},`], after: '5]}' },
  { before: '{"schemaVersion":2,"manifests":[{"platform":{"os":"', after: '"}}]}' },
];

const file = '/a/file';

/** Functions that are called with the text, by the path of their module. */
export const plainReaders: Readonly<Record<string, readonly string[]>> = {
  redaction: ['safeText', 'plainWords', 'redact'],
  'files/layer-bytes': ['isArchiveType'],
  'app/printable': ['printable'],
  'cli/io': ['manyLines', 'oneLine'],
  'cli/serve/settings': ['isLoopback'],
  'cli/units': ['hostOf', 'shortDigest'],
  'config/containerd/directory': ['certsDirectoryNames', 'registryOfDirectory'],
  'config/containerd/read': ['parseGoDuration'],
  'config/docker/login-keys': ['decodeAuth', 'isDockersOwn', 'parseLoginKey'],
  'config/document/document': ['positions', 'declaredPlace'],
  'config/document/parts': ['directoryOf', 'shownUrl'],
  'config/parse-config': ['parseConfig'],
  'config/pem': ['isPath', 'pemName', 'pemProblem', 'readPem'],
  'config/regctl/hosts': ['regctlName'],
  'config/registry-keys': [
    'allowedHostProblem',
    'credentialKeyProblem',
    'normalizeKey',
    'registryKeyProblem',
    'urlProblem',
  ],
  'config/rewrite': ['isWellFormed'],
  'config/schema': ['headerNameProblem'],
  endpoint: ['redactUrl'],
  errors: ['messageOf'],
  'files/entry': ['cleanPath'],
  'http/address': ['classOf'],
  'http/socket/framing': ['parseChunkSize'],
  'server/redirect/address-table': ['isAddress', 'isPrefix'],
  'server/redirect/cloud-ranges': ['parseCloudRanges'],
  'http/header-fields': ['formatNext', 'parseChallenges', 'parseLinks', 'parseRetryAfter', 'parseWarnings'],
  'oci/choose-image': ['platformOf'],
  'oci/descriptor': ['parseDescriptor'],
  'oci/digest': ['algorithmOf', 'digestProblem', 'isDigest', 'parseDigest'],
  'oci/manifest': [
    'isDocumentType',
    'bareMediaType',
    'isIndexType',
    'isManifestType',
    'isNonDistributable',
    'isSchema1',
    'kindOf',
  ],
  'oci/platform': ['parsePlatform'],
  'oci/range': ['parseContentRange'],
  'oci/reference': ['checkName', 'isRepositoryName', 'isTag', 'nameProblem', 'parseReference', 'parseRepository'],
  'oci/registry': ['apiOrigin', 'hostProblem', 'isLoopbackHost', 'normalizeRegistry'],
  'oci/route': ['parsePath'],
  'oci/scope': ['parseScope', 'pullScope', 'unionScopes'],
  proxy: ['proxyProblem', 'proxyUrl'],
  'remote/response': ['parseEncodings'],
  'store/owner': ['isOwner'],
  'text/quote': ['asciiText', 'describeValue', 'legible', 'quote'],
};

/** The beginnings after which a grammar goes on. */
export const plainShapes: Readonly<Record<string, readonly Shape[]>> = {
  'config/docker/login-keys': [{}, { before: 'https://' }],
  'config/registry-keys': [{}, { before: 'https://' }, { before: 'a.example/' }],
  'http/header-fields': [
    {},
    ...['<', '<a>; ', '<a>; a="', 'Bearer ', 'Bearer a="', 'Bearer a=b,', '299 - "', '299 ', 'Mon, '].map((before) => ({
      before,
    })),
  ],
  endpoint: [{ before: 'http://' }, { before: 'http://a/?' }, { before: 'http://a/#' }, { before: 'http://a@' }, {}],
  'oci/digest': [{}, { before: 'sha256:' }],
  'oci/manifest': [{}, { before: 'application/' }, { before: 'text/a;' }],
  'oci/platform': [{}, { before: 'linux/' }, { before: 'linux(', after: ')' }, { before: 'linux(+', after: ')' }],
  'oci/range': [{}, { before: 'bytes ' }, { before: 'bytes 0-' }, { before: 'bytes 0-5/' }],
  'oci/reference': [
    {},
    ...['a.example/', 'a.example/b:', 'a.example/b@', 'a.example/b@sha256:'].map((before) => ({ before })),
  ],
  'oci/route': [{}, { before: '/v2/' }, { before: '/v2/', after: '/blobs/a' }, { before: '/v2/a/manifests/' }],
  'oci/scope': [{}, { before: 'repository:' }, { before: 'repository:a:' }],
  proxy: [{}, { before: 'http://' }, { before: 'http://a:' }, { before: 'http://a/?' }],
};

const responseOf = (text: string, type = 'application/json') => ({
  status: 403,
  headers: { 'content-type': type },
  body: bytesBody(bytesOf(text)),
  url: 'http://a.example/',
});

/** An archive of one file whose name, an extended header, is the text. */
async function readNamed(text: string): Promise<void> {
  const record = ` path=${text}\n`;
  const length = bytesOf(record).length;
  const digits = String(
    length + String(length).length + (String(length + String(length).length).length - String(length).length),
  );
  const archive = Buffer.concat([
    part({ name: 'pax', flag: 'x', data: `${digits}${record}` }),
    part({ name: 'file', data: 'content' }),
    end,
  ]);
  for await (const _ of readTar(bytesBody(archive), (found) => new Error(found)));
}

/** What decides something in TOML, YAML or JSON: their parsers are slower, so that their texts are shorter. */
const tableUnits = [
  ...'"[]{},:=\n# |.\'\\',
  '[[',
  '- ',
  'a:\n',
  'a: ',
  'a=',
  'a.',
  'a,',
  '""',
  '[]',
  '\r\n',
  '\\u00',
  '&a ',
  '*a ',
];
const tables = (...begins: readonly string[]) => ({
  shapes: begins.map((before) => ({ before, units: tableUnits })),
  length: 8_192,
});
const toml = tables('', 'a = "', 'a = [', '[a.');
const jsonTable = tables('', '{"a":"', '{"a":[', '{"');
const yaml = { ...tables(''), length: 2_048 };

const layer = `sha256:${'1'.repeat(64)}` as const;

/** The tree of a layer whose entries have these paths, over that of another one. */
function readWhiteouts(text: string): void {
  const facts = { type: 'file', size: 0, mode: 0, uid: 0, gid: 0, modified: new Date(0) } as const;
  const tree = createLayerTree(layer, () => {});
  for (const path of text.split(',')) tree.add({ ...facts, path });
  overlay(overlay(undefined, tree), tree);
}

const handler = serve(() => memoryStore());
const front = redirectFront({ upstream: 'https://a.example' });
const clients = [clientBy('second-from-end'), clientBy({ proxies: ['::/0', '0.0.0.0/0'] })];
const begins = ['CERTIFICATE', 'TRUSTED CERTIFICATE', 'PRIVATE KEY'].map((name) => `-----BEGIN ${name}-----`);
const bundleUnits = [...begins, '-----', '-----BEGIN ', '-----END CERTIFICATE-----\n', 'MIIB\n', ...'-=+/ \n'];

/** All others, by `module:function`. */
export const readers: Readonly<Record<string, TextReader>> = {
  'cli/limits:readValue': {
    read: (text) => {
      for (const value of ['TIME', 'SIZE', 'N'] as const) {
        try {
          readValue('--flag', { value, orZero: true }, text);
        } catch {
          // Each refuses most of them.
        }
      }
    },
    shapes: [{ units: [...units, '1', '1.1', ' '] }],
  },
  'cli/parse:parseLine': {
    read: (text) => parseLine([text], commands),
    shapes: [{}, { before: '--' }, { before: 'config ' }],
  },
  'cli/parse:parseLine of a command': {
    read: (text) => parseLine(['pull', text, `--${text}`, `--to=${text}`], commands),
  },
  'config/docker/run-helper:parseHelperAnswer': {
    read: parseHelperAnswer,
    shapes: [{}, ...fields('{', '}'), { before: '{"Username":"', after: '","Secret":"a"}' }],
  },
  'config/docker/run-helper:describeComplaint': {
    read: (text) => describeComplaint({ stdout: text, stderr: text }, ['a', text]),
  },
  'http/tls:tlsProblems': {
    read: (text) => tlsProblems({ ca: [text], cert: text, key: text }),
    shapes: [
      { units: bundleUnits },
      ...begins.map((before) => ({ before, units: bundleUnits, after: '-----END CERTIFICATE-----' })),
    ],
  },
  'config/pem:readPem of a bundle': {
    read: (text) => [readPem(text), pemName(text), pemProblem(text)],
    shapes: [{ units: bundleUnits }, { before: '-----BEGIN ', units: bundleUnits }],
  },
  'files/layer-tree:createLayerTree': {
    read: readWhiteouts,
    shapes: ['', 'a/', '.wh.'].map((before) => ({
      before,
      units: ['a,', 'a/', '.wh.', '.wh.a,', '.wh..wh..opq,', 'a/.wh.a,', 'a/.wh..wh..opq,', '.wh..wh./', '.wh.a/'],
    })),
  },
  'server/registry/serve:serve': {
    read: (text) => handler(new Request(url(text))),
    shapes: ['', 'v2/', 'v2/a/', 'v2/a/blobs/uploads/', 'v2/a/manifests/', 'v2/a/tags/list?', 'v2/a/referrers/'].map(
      (before) => ({ before }),
    ),
  },
  'server/redirect/front:redirectFront': {
    read: (text) => front(new Request(url(text))),
    shapes: ['v2/', 'v2/a/blobs/', 'v2/a/manifests/sha256-', 'v2/a/%2e%2e%2f', 'v2'].map((before) => ({ before })),
  },
  'server/redirect/front-file:readFront': {
    read: (text) => readFront(text, { file, format: 'yaml' }),
    // The texts of `parseYaml` are read by it.
    shapes: [{ units: ['a: b\n', 'upstream: x\n'] }, { units: ['- url: https://a.example\n'], before: 'buckets:\n' }],
  },
  'server/redirect/client-address:clientBy': {
    read: (text) => {
      const request = { headers: new Map([['x-forwarded-for', text]]) } as never;
      for (const clientOf of clients) clientOf(request, { remoteAddress: '192.0.2.1' });
    },
    shapes: [{}, { units: ['192.0.2.1,', '::1 ', '[::1]:5,', ' ', ','] }, { before: '[' }, { before: '192.0.2.1:' }],
  },
  'config/containerd/read:readHostsToml': {
    read: (text) => readHostsToml(text, { file, registry: 'a.example', directory: '/a' } as never),
    ...toml,
    shapes: [{ before: '[host."' }, { before: 'server = "' }],
  },
  'config/containers/certificates:readCertificateNames': {
    read: (text) => readCertificateNames([text, `${text}.cert`], '/a'),
  },
  'config/containers/read:readRegistriesConf': {
    read: (text) => readRegistriesConf(text, { file }),
    shapes: [{ units: ['[[registry]]\nlocation = "a.example"\n'] }, { before: '[[registry]]\nlocation="', after: '"' }],
  },
  'config/credentials:credentialsFor': {
    read: (text) => credentialsFor({ [text]: { token: 'a' } } as never, text, text),
  },
  'config/credentials:expandShortName': { read: (text) => expandShortName(text, { search: ['a.example'] }) },
  'config/docker/read:readDockerConfig': {
    read: (text) => readDockerConfig(text, { file }),
    ...jsonTable,
    shapes: [...fields('{"auths":{', '}}')],
  },
  'config/document/json:parseJson': { read: (text) => parseJson(text, file), ...jsonTable },
  'config/document/toml:parseToml': { read: (text) => parseToml(text, file), ...toml },
  'config/document/yaml:parseYaml': { read: (text) => parseYaml(text, file), ...yaml },
  'config/k3s/read:readRegistriesYaml': {
    read: (text) => readRegistriesYaml(text, { file } as never),
    ...yaml,
    shapes: [{ before: 'mirrors:\n  "', after: '": {}', units: tableUnits }],
  },
  'config/own/read:formatOf': { read: formatOf, shapes: [{}, { before: '.json' }] },
  'config/own/read:readOwnConfig': {
    read: (text) => readOwnConfig(text, { file, format: 'json' } as never),
    ...jsonTable,
  },
  'config/parse-config:parseConfig of a table': {
    read: (text) =>
      parseConfig({ registries: { [text]: { mirrors: [{ url: text }] } }, proxy: { http: text, no: [text] } }),
  },
  'config/regctl/read:readRegctlConfig': {
    read: (text) => readRegctlConfig(text, { file }),
    ...jsonTable,
    shapes: [...fields('{"hosts":{', '}}')],
  },
  'config/rewrite:compileRewrites': {
    read: (text) => compileRewrites([{ pattern: '^(.*)/(.*)$', replacement: text }], 'a').rewrite('a/b'),
  },
  'config/rewrite:patternProblem': { read: patternProblem, shapes: [{ units: [...'a.|^$()[\\'] }], length: 2_048 },
  'config/usual-places:configKindOf': { read: (text) => configKindOf('a', text), shapes: [{}, { before: '{' }] },
  'config/files:decodeText': { read: (text) => decodeText(bytesOf(text), file), shapes: [{}, { after: '\ud800' }] },
  'errors:cannot': { read: (text) => cannot('BAD_RESPONSE', text, text, { value: text, cause: new Error(text) }) },
  'errors:configError': { read: (text) => configError(text, [{ key: text, found: text }]) },
  'files/layer:createNearestPath': { read: (text) => createNearestPath(text) },
  'files/tar:readTar': { read: readNamed },
  'files/tar-header:parseHeader': { read: (text) => parseHeader(bytesOf(text)) },
  'files/tar-header:parseRecords': {
    read: (text) => parseRecords(bytesOf(text)),
    shapes: [{}, { units: ['6 a=b\n', '5 a=\n', '8 =\n', '4 =\n'] }],
  },
  'files/toc-rows:rowsOf': {
    read: (text) => rowsOf(bytesOf(text)).at(0),
    shapes: [
      {},
      ...fields('{"version":1,"entries":[{', '}]}'),
      { before: '{"version":1,"entries":[', units: ['{},', '{}'] },
    ],
  },
  'http/address:isListed': { read: (text) => isListed(url(text), [] as never) },
  'http/address:parseTarget': {
    read: (text) => parseTarget(text, 'http://a.example/', 'a redirect'),
    shapes: [{}, { before: '//' }, { before: 'http://' }, { before: 'http://a/?' }, { before: 'http://a@' }],
  },
  'http/connection-error:connectionError': {
    read: (text) =>
      connectionError(Object.assign(new Error(text), { code: 'EPROTO' }), 'UNAVAILABLE', 'reach', 'http://a/'),
    shapes: [{}, { units: ['error:0A:a routines:a'] }, { units: ['error:0A:'] }, { before: 'error:0A: routines:' }],
  },
  'http/error-body:readErrorBody': {
    read: (text) => readErrorBody(responseOf(text), async (body) => body),
    shapes: [{}, ...fields('{"errors":[{"code":"A","message":"a",', '}]}'), ...fields('{"error":"a",', '}')],
  },
  'oci/manifest:parseDocumentText': { read: (text) => parseDocumentText(bytesOf(text)), shapes: documents },
  'oci/manifest:parseDocument': { read: (text) => parseDocument(bytesOf(text), text), shapes: documents },
  'oci/manifest:parseIndex': { read: (text) => parseIndex(bytesOf(text)), shapes: documents },
  'oci/manifest:parseManifest': { read: (text) => parseManifest(bytesOf(text)), shapes: documents },
  'oci/range:parseRange': {
    read: (text) => parseRange(text, 5),
    shapes: [{}, { before: 'bytes=' }, { before: 'bytes=0-' }],
  },
  'oci/referrer:referrerOf': {
    read: (text) => referrerOf(bytesOf(text), JSON.parse(descriptor)),
    shapes: documents,
  },
  'oci/referrer:isOfType': { read: (text) => isOfType(text, text), shapes: [{}, { before: 'a/b;' }] },
  'oci/registry:sameRegistry': { read: (text) => sameRegistry(text, text) },
  'proxy:proxyFor': {
    read: (text) => proxyFor(new URL('http://a.example/'), { http: 'http://p', no: [text] }),
  },
  'remote/response:describeDocument': { read: (text) => describeDocument(bytesOf(text), {}, text), shapes: documents },
  'remote/response:describeHead': {
    read: (text) =>
      describeHead({ 'content-type': text, 'docker-content-digest': text, 'content-length': text }, text, 5),
  },
  'server/htpasswd/parse:parseHtpasswd': {
    read: (text) => parseHtpasswd(text, 'users'),
    shapes: [{}, { before: 'a:$2b$10$' }],
  },
  'server/tokens/keys:parseBundle': {
    read: (text) => parseBundle(text, 'roots'),
    shapes: [{}, { units: ['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----'] }],
  },
  'server/tokens/keys:parseKeySet': { read: (text) => parseKeySet(text, 'keys'), shapes: documents },
  'server/tokens/keys:readKey': { read: (text) => readKey({ kty: 'EC', crv: 'P-256', x: text, y: text, kid: text }) },
  'server/tokens/verify:verifyToken': {
    read: (text) => {
      const find = async () => undefined;
      return verifyToken(text, { issuer: 'a', audience: 'b', algorithms: ['ES256'], roots: [], find });
    },
    shapes: [{}, { before: 'eyJhbGciOiJFUzI1NiJ9.' }, { before: 'eyJhbGciOiJFUzI1NiJ9.e30.' }],
  },
  'store/entries:entryOf': {
    read: (text) => entryOf({ digest: text, mediaType: text, annotations: { [text]: text } }),
  },
  'text/json:readJson': { read: readJson, shapes: documents },
  'text/problems:checkOptions': { read: (text) => checkOptions('a', { [text]: text }, { a: flag }) },
  'text/quote:nearest': { read: (text) => nearest(text, ['abc', text]) },
};
