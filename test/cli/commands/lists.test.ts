import { expect, test } from 'vitest';
import { sampleOf } from '../../contract/source.ts';
import { image } from '../../copy/support.ts';
import { text } from '../../support/hosts.ts';
import { folder, registry, run, tagged } from '../support.ts';

const subject = image('a');
const empty = sampleOf(text('{}'), 'application/vnd.oci.empty.v1+json');
const manifestType = 'application/vnd.oci.image.manifest.v1+json';

const referrer = (artifactType: string, created?: string) =>
  sampleOf(
    text(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: manifestType,
        artifactType,
        config: empty.descriptor,
        layers: [],
        subject: subject.root.descriptor,
        ...(created !== undefined && { annotations: { 'org.opencontainers.image.created': created } }),
      }),
    ),
    manifestType,
  );

const sbom = referrer('application/spdx+json', '2024-05-01T00:00:00Z');
const signature = referrer('application/vnd.example.signature');

async function host() {
  const content = [...tagged(subject, 'v2'), { ...subject.root, tag: 'v10' }, empty, sbom, signature];
  const { port, requests } = await registry({ content });
  return { name: `127.0.0.1:${port}/team/app`, requests };
}

test('tags are printed one per line, and as an array', async () => {
  const { name } = await host();
  expect(await run(['tags', '--no-discover', name])).toEqual({ code: 0, out: ['v10', 'v2'], err: [] });
  const { out } = await run(['tags', '--no-discover', '--json', name]);
  expect(JSON.parse(out.join('\n'))).toEqual(['v10', 'v2']);
});

test('a tag instead of a repository is reported', async () => {
  const { code, err } = await run(['tags', '--no-discover', 'alpine:3']);
  expect(code).toBe(2);
  expect(err[0]).toContain('tag "3" where only a repository is expected');
});

test('referrers of a tag or a digest are printed as a table', async () => {
  const { name } = await host();
  for (const reference of [`${name}:v2`, `${name}@${subject.root.descriptor.digest}`]) {
    const { code, out } = await run(['referrers', '--no-discover', reference]);
    expect(code).toBe(0);
    const rows = out.map((line) => line.split(/ {2,}/));
    expect(rows[0]).toEqual(['DIGEST', 'ARTIFACT TYPE', 'SIZE', 'CREATED']);
    expect(rows.slice(1).sort()).toEqual(
      [
        [sbom.descriptor.digest, 'application/spdx+json', `${sbom.bytes.length} B`, '2024-05-01T00:00:00Z'],
        [signature.descriptor.digest, 'application/vnd.example.signature', `${signature.bytes.length} B`],
      ].sort(),
    );
  }
});

test('--artifact-type filters, --json prints descriptors', async () => {
  const { name } = await host();
  const line = ['referrers', '--no-discover', '--json', '--artifact-type', 'application/spdx+json', `${name}:v2`];
  expect(JSON.parse((await run(line)).out.join('\n'))).toMatchObject([
    { digest: sbom.descriptor.digest, artifactType: 'application/spdx+json' },
  ]);
});

test('without referrers of the requested type, the message names the type', async () => {
  const { name } = await host();
  const { code, err } = await run(['referrers', '--no-discover', '--artifact-type', 'no/such', `${name}:v2`]);
  expect(code).toBe(0);
  expect(err).toEqual([expect.stringMatching(/^Nothing of type "no\/such" refers to 127\..*:v2@sha256:/)]);
});

test('more pages of tags than the limit do not blame a cache', async () => {
  const page = 'https://r.test/v2/a/tags/list?last=';
  const { port } = await registry({
    gate: () => async (request) => {
      const last = Number(new URL(request.url).searchParams.get('last') ?? 0);
      const headers = { 'content-type': 'application/json', link: `<${page.slice(14)}${last + 1}>; rel="next"` };
      return new Response(JSON.stringify({ name: 'a', tags: [`t${last}`] }), { headers });
    },
  });
  const { code, err } = await run(['tags', '--no-discover', `127.0.0.1:${port}/a`]);
  expect(code).toBe(7);
  expect(err[0]).toContain('limits.pages');
  expect(err[0]).not.toContain('cache');
});

test('no referrers are not a failure', async () => {
  const { name } = await host();
  const { code, out, err } = await run(['referrers', '--no-discover', `${name}@${sbom.descriptor.digest}`]);
  const { plain } = await folder({});
  expect({ code, out }).toEqual({ code: 0, out: [] });
  expect(plain(err)).toEqual([`Nothing refers to 127.0.0.1:PORT/team/app@${sbom.descriptor.digest}.`]);
});

test.each([[], ['--json']])(
  'tags of cosign are named beside the referrers, which they are not: %j',
  async (...flags) => {
    const tag = subject.root.descriptor.digest.replace(':', '-');
    const attached = image('signature');
    const content = [
      ...tagged(subject, 'v2'),
      ...tagged(attached, `${tag}.sig`),
      { ...attached.root, tag: `${tag}.att` },
    ];
    const { port } = await registry({ content });
    const name = `127.0.0.1:${port}/team/app`;
    const { code, err } = await run(['referrers', '--no-discover', ...flags, `${name}:v2`]);
    expect(code).toBe(0);
    expect(err.filter((line) => line.includes('cosign'))).toEqual(
      ['sig', 'att'].map((kind) => `A tag of cosign is there, too, which is not a referrer: ${name}:${tag}.${kind}`),
    );
  },
);
