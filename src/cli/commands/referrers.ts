import { type Client, type Descriptor, formatReference, type Reference } from '../../index.ts';
import { withClient } from '../client.ts';
import type { Command, Given } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { type Io, oneLine, type Paint, painter, writeJson, writeLines } from '../io.ts';
import { listOptions } from '../limits.ts';
import { formatBytes } from '../units.ts';

export const referrersCommand: Command = {
  about:
    'Lists the manifests that refer to this one: signatures, SBOMs, attestations. Uses the referrers API, or the tag schema\n' +
    'of registries without it. A tag is resolved first; for an index, referrers of the index itself are listed. The tags\n' +
    'under which cosign keeps signatures, attestations and SBOMs are named on stderr.',
  words: [1, 1],
  options: { 'artifact-type': { type: 'string', value: 'TYPE', help: 'only those of this type' }, ...listOptions },
  examples: [
    ['ocifetch referrers ghcr.io/team/app:1', 'everything that refers to a tag'],
    ['ocifetch referrers --artifact-type application/spdx+json --json ghcr.io/team/app@sha256:…', 'its SBOMs'],
  ],
  run: async (given, io) => {
    const { subject, found, tags } = await withClient(given, io, (client) => listReferrers(client, given, io));
    if (given.flags.has('json')) writeJson(io, found);
    else if (found.length > 0) writeLines(io.stdout, table(found, painter(io, io.stdout)));
    else writeLines(io.stderr, [`Nothing${ofType(given)} refers to ${subject}.`]);
    writeLines(
      io.stderr,
      tags.map((name) => `A tag of cosign is there, too, which is not a referrer: ${name}`),
    );
    return exitCodes.ok;
  },
};

const ofType = ({ texts: { 'artifact-type': type } }: Given): string =>
  type === undefined ? '' : ` of type "${oneLine(type)}"`;

async function listReferrers(client: Client, { words: [text = ''], texts }: Given, { signal }: Io) {
  const { reference } = client.plan(text);
  const { registry, name, tag } = reference;
  const digest = reference.digest ?? (await client.resolve(text, { signal })).descriptor.digest;
  const artifactType = texts['artifact-type'];
  const found = await client.fetcher({ registry, name }).referrers(digest, { artifactType, signal });
  const tags = await cosignTags(client, { registry, name, digest }, signal);
  return { subject: formatReference({ registry, name, ...(tag !== undefined && { tag }), digest }), found, tags };
}

/**
 * The tags that cosign gives to what it attaches to a digest: it did so before there were referrers, and still does by default.
 * https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
 */
async function cosignTags(client: Client, subject: Reference, signal: AbortSignal | undefined): Promise<string[]> {
  const { registry, name, digest = '' } = subject;
  const fetcher = client.fetcher({ registry, name });
  const look = async (kind: string): Promise<string[]> => {
    const tag = `${digest.replace(':', '-')}.${kind}`;
    // The referrers are known; whatever keeps a tag from being found does not change them.
    return fetcher.resolve(tag, { signal }).then(
      () => [formatReference({ registry, name, tag })],
      () => [],
    );
  };
  const found = await Promise.all(['sig', 'att', 'sbom'].map(look));
  return found.flat();
}

function table(found: readonly Descriptor[], paint: Paint): string[] {
  const rows = found.map(({ digest, artifactType, size, annotations }) => [
    digest,
    oneLine(artifactType ?? '-'),
    formatBytes(size),
    oneLine(annotations?.['org.opencontainers.image.created'] ?? ''),
  ]);
  const head = ['DIGEST', 'ARTIFACT TYPE', 'SIZE', 'CREATED'];
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [paint('bold', line(head)), ...rows.map(line)];
}
