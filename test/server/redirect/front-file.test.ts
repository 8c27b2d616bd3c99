import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { RegistryError } from '../../../src/errors.ts';
import { redirectFront } from '../../../src/server/redirect/front.ts';
import { readFront } from '../../../src/server/redirect/front-file.ts';
import { loadFront } from '../../../src/server/redirect/load-front.ts';
import { failureOf } from '../../support/http.ts';

const folders: string[] = [];
afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

/** The path of a file, besides others in its folder. */
async function written(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-front-'));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return join(folder, Object.keys(files)[0] ?? '');
}

const front = `# Everything that a file can say.
upstream: https://upstream.example
prefix: project/images
signatures: https://signed.example
info: https://info.example
privacy: https://privacy.example
client:
  proxies: [10.0.0.0/8]
keepQuery: true
buckets:
  - url: https://bucket.example
  - url: https://paris.example
    cloud: AWS
    regions: [eu-west-3]
bucketPath: blobs
stay: [GCP]
ranges: [aws.json, gcp.json]
checkTimeout: 1000
remembered: 10
`;
const aws = '{"prefixes":[{"ip_prefix":"35.180.0.0/16","region":"eu-west-3"}],"ipv6_prefixes":[]}';
const gcp = '{"prefixes":[{"ipv4Prefix":"34.80.0.0/15","scope":"asia-east1"}]}';

test('a file says all options of a front, and the cloud ranges come from files beside it', async () => {
  const options = await loadFront(await written({ 'front.yaml': front, 'aws.json': aws, 'gcp.json': gcp }));
  expect(options.ranges).toEqual([
    { prefix: '35.180.0.0/16', cloud: 'AWS', region: 'eu-west-3' },
    { prefix: '34.80.0.0/15', cloud: 'GCP', region: 'asia-east1' },
  ]);
  const digest = `sha256:${'0'.repeat(64)}`;
  const request = new Request(`http://front.test/v2/a/blobs/${digest}`, {
    headers: { 'x-forwarded-for': '34.80.0.1' },
  });
  const response = await redirectFront(options)(request, { remoteAddress: '10.0.0.1' });
  expect(response.headers.get('location')).toBe(`https://upstream.example/v2/project/images/a/blobs/${digest}`);
});

test('a file may be JSON or TOML, and needs only an upstream', async () => {
  for (const [name, text] of [
    ['front.json', '{"upstream":"https://upstream.example"}'],
    ['front.toml', 'upstream = "https://upstream.example"'],
    ['front', 'upstream: https://upstream.example'],
  ] as const)
    expect(await loadFront(await written({ [name]: text }))).toEqual({
      upstream: 'https://upstream.example',
      ranges: [],
    });
});

test('everything wrong in a file is reported at once, by line and column', () => {
  const text = front
    .replace('https://upstream.example', 'upstream.example')
    .replace('keepQuery: true', 'keepQeury: yes')
    .replace('10.0.0.0/8', '10.0.0.0/88')
    .replace('    cloud: AWS\n', '')
    .replace('stay: [GCP]', 'stay: [GCP]\nstay: []');
  try {
    readFront(text, { file: 'front.yaml', format: 'yaml' });
    expect.unreachable();
  } catch (error) {
    const { code, problems } = error as RegistryError;
    expect(code).toBe('INVALID_CONFIG');
    expect(problems.map(({ line, column, key, found }) => `${line}:${column} ${key}: ${found}`)).toEqual([
      '2:1 upstream: found the text "upstream.example", expected an absolute http or https URL',
      '8:13 client.proxies[0]: found the text "10.0.0.0/88", expected an address or a CIDR block',
      '9:1 keepQeury: unknown key "keepQeury", did you mean "keepQuery"?',
      '13:5 buckets[1].regions: found a list, expected a cloud with them',
      '16:1 undefined: duplicate key "stay", first at 15:1',
    ]);
  }
});

test('what only a program can say is not known in a file', () => {
  for (const key of ['transport', 'onEvent'])
    expect(() => readFront(`upstream: https://a.example\n${key}: x\n`, { file: 'f', format: 'yaml' })).toThrow(
      `unknown key "${key}"`,
    );
  expect(() => readFront('', { file: 'f', format: 'yaml' })).toThrow('upstream');
});

test('a file that is missing, or is not what it should be, is named', async () => {
  const path = await written({ 'front.yaml': front, 'aws.json': '{}' });
  const error = (await failureOf(loadFront(path))) as RegistryError;
  expect(error.code).toBe('INVALID_CONFIG');
  expect(error.message).toContain('aws.json');
  expect(error.message).toContain('gcp.json');
  const missing = (await failureOf(loadFront(`${path}.not`))) as RegistryError;
  expect([missing.code, missing.reason]).toEqual(['INVALID_CONFIG', 'unreadable']);
});
