import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { sampleOf } from '../../contract/source.ts';
import { attestation, entry, image, index } from '../../copy/support.ts';
import { registry, run, tagged } from '../support.ts';

const amd64 = image('a', { platform: 'linux/amd64' });
const arm64 = image('b', { platform: 'linux/arm64' });
const both = index(entry(amd64, { on: 'linux/amd64' }), entry(arm64, { on: 'linux/arm64' }), attestation('c'));
const digestOf = ({ root }: typeof both): string => root.descriptor.digest;
const textOf = ({ root }: typeof both): string => Buffer.from(root.bytes).toString();

async function host() {
  const { port, requests } = await registry({ content: tagged(both) });
  return { name: `127.0.0.1:${port}/team/app`, requests };
}

test('a manifest is printed byte for byte, and nothing else', async () => {
  const { name } = await host();
  const { out, code } = await run(['manifest', '--no-discover', name]);
  expect(`sha256:${createHash('sha256').update(out.join('\n')).digest('hex')}`).toBe(digestOf(both));
  expect(code).toBe(0);
});

test('--platform chooses from an index, --json indents', async () => {
  const { name } = await host();
  const raw = await run(['manifest', '--no-discover', '--platform', 'linux/arm64', name]);
  expect(raw.out.join('\n')).toBe(textOf(arm64));
  const json = await run(['manifest', '--no-discover', '--json', '--platform', 'linux/amd64', name]);
  expect(json.out.join('\n')).toBe(JSON.stringify(JSON.parse(textOf(amd64)), undefined, 2));
});

test('--digest requests only the digest', async () => {
  const { name, requests } = await host();
  expect(await run(['manifest', '--no-discover', '--digest', name])).toEqual({
    code: 0,
    out: [digestOf(both)],
    err: [],
  });
  expect(requests).toEqual(['HEAD /v2/team/app/manifests/latest']);
  requests.length = 0;
  const line = ['manifest', '--no-discover', '--digest', '--platform', 'linux/arm64/v8', name];
  expect(await run(line)).toEqual({ code: 0, out: [digestOf(arm64)], err: [] });
  expect(requests).toEqual(['GET /v2/team/app/manifests/latest']);
});

test('index, manifest and configuration are requested once each', async () => {
  const { name, requests } = await host();
  const documents = ['latest', digestOf(arm64)].map((reference) => `GET /v2/team/app/manifests/${reference}`);
  expect((await run(['manifest', '--no-discover', '--platform', 'linux/arm64', name])).code).toBe(0);
  expect(requests.splice(0)).toEqual(documents);
  expect((await run(['config', '--no-discover', '--platform', 'linux/arm64', name])).code).toBe(0);
  expect(requests.splice(0)).toEqual([...documents, expect.stringMatching(/^GET .*\/blobs\/sha256:/)]);
  expect((await run(['manifest', '--no-discover', name])).code).toBe(0);
  expect(requests).toEqual(documents.slice(0, 1));
});

test('if there is no image for a platform, the message lists the platforms', async () => {
  const { name } = await host();
  for (const command of ['manifest', 'config']) {
    const { code, err } = await run([command, '--no-discover', '--platform', 'linux/s390x', name]);
    expect(err[0]?.replace(/127\.0\.0\.1:\d+/, 'HOST')).toBe(
      'ocifetch: Cannot choose an image of "HOST/team/app" for linux/s390x: there are linux/amd64, linux/arm64',
    );
    expect(code).toBe(4);
  }
});

test.each([
  [['manifest']],
  [['manifest', '--platform', 'linux/amd64']],
  [['manifest', '--digest']],
  [['manifest', '--json']],
  [['config']],
])('%j of the digest of a blob is a failure, and nothing is printed', async (line) => {
  const { name } = await host();
  const blobs = amd64.parts.filter(({ descriptor }) => descriptor.digest !== digestOf(amd64));
  expect(blobs).toHaveLength(3);
  for (const { descriptor } of blobs) {
    const message = `Cannot read manifest "${descriptor.digest}": it is a blob, not a manifest`;
    const { code, out, err } = await run([...line, '--no-discover', `${name}@${descriptor.digest}`]);
    expect(err).toEqual([`ocifetch: ${message}. "ocifetch get" prints blobs.`]);
    const failure = JSON.stringify({ error: { code: 'BAD_RESPONSE', message } }, undefined, 2);
    expect({ code, out: out.join('\n') }).toEqual({ code: 7, out: line.includes('--json') ? failure : '' });
  }
});

test('a configuration that is not JSON is printed as it is, but not with --json', async () => {
  const text = sampleOf(Buffer.from('plain'), 'text/plain');
  const { port } = await registry({ content: tagged(image('t', { config: text })) });
  const line = ['config', '--no-discover', `127.0.0.1:${port}/team/app`];
  expect(await run(line)).toEqual({ code: 0, out: ['plain'], err: [] });
  const { code, err } = await run([...line, '--json']);
  expect(err[0]).toContain(`Cannot print config "${text.descriptor.digest}" with --json: it is not JSON`);
  expect(code).toBe(7);
});

test('an index in an index is searched', async () => {
  const nested = index(entry(amd64, { on: 'linux/amd64' }), index(entry(arm64, { on: 'linux/arm64' })));
  const { port } = await registry({ content: tagged(nested) });
  const line = ['manifest', '--no-discover', '--platform', 'linux/arm64', `127.0.0.1:${port}/team/app`];
  expect((await run(line)).out.join('\n')).toBe(textOf(arm64));
});

test('an image without a platform is chosen if there is no other', async () => {
  const plain = image('plain');
  const only = await registry({ content: tagged(index(plain, attestation('c'))) });
  for (const [command, printed] of [
    ['manifest', textOf(plain)],
    ['config', '{"name":"plain"'],
  ] as const) {
    const line = [command, '--no-discover', '--platform', 'linux/riscv64', `127.0.0.1:${only.port}/team/app`];
    expect((await run(line)).out.join('\n')).toContain(printed);
  }
  const several = await registry({ content: tagged(index(plain, image('other'))) });
  const { err, code } = await run(['config', '--no-discover', `127.0.0.1:${several.port}/team/app`]);
  expect(err.join('\n')).toMatch(/Cannot choose an image of "[^"]*\/team\/app" for .*: there is none\./);
  expect(code).toBe(4);
});

test("config prints an image's configuration, although other commands begin with the same word", async () => {
  const { name } = await host();
  const { out, code } = await run(['config', '--no-discover', '--platform', 'linux/arm64', name]);
  expect(JSON.parse(out.join('\n'))).toMatchObject({ name: 'b', architecture: 'arm64' });
  expect(code).toBe(0);
  const json = await run(['config', name, '--no-discover', '--platform', 'linux/amd64', '--json']);
  expect(json.out.length).toBeGreaterThan(3);
  expect((await run(['config', 'show', '--no-discover'])).code).toBe(0);
  expect((await run(['config', 'schema'])).out.join('')).toContain('"$schema"');
});

test('config --help lists the other commands, config check --help does not', async () => {
  const { out } = await run(['config', '--help']);
  expect(out[0]).toBe('Usage: ocifetch config REF [options]');
  expect(out.slice(out.indexOf('Other commands:')).join('\n')).toMatch(/config check .*\n.*config show/);
  expect((await run(['config', 'check', '--help'])).out[0]).toBe('Usage: ocifetch config check [FILE…] [options]');
});

test("another artifact's manifest is printed byte for byte", async () => {
  const mediaType = 'application/vnd.oci.artifact.manifest.v1+json';
  const bytes = new TextEncoder().encode(`{ "mediaType": "${mediaType}",\n "blobs": null }`);
  const { port } = await registry({ content: [{ ...sampleOf(bytes, mediaType), tag: 'latest' }] });
  const name = `127.0.0.1:${port}/team/app`;
  const { out, code } = await run(['manifest', '--no-discover', name]);
  expect([out.join('\n'), code]).toEqual([Buffer.from(bytes).toString(), 0]);
});
