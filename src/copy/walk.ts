import { cannot } from '../errors.ts';
import { mostDepth } from '../oci/choose-image.ts';
import { type Descriptor, isReadable, usable } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { isNonDistributable, kindOf, type Manifest } from '../oci/manifest.ts';

import { copyBlob } from './blob.ts';
import { type CopyState, reportState } from './copy-state.ts';
import type { Documents, ReadDocument } from './documents.ts';
import type { Queue } from './queue.ts';

/** One content of a copy, as its user knows it. */
export interface Part {
  readonly descriptor: Descriptor;
  /** `layer 3 of 40` */
  readonly role: string;
}

export interface CopyWalkOptions {
  readonly state: CopyState;
  readonly queue: Queue;
  readonly documents: Documents;
  /** Entries to copy, by the digest of their index; an index that is missing here is copied with all entries. */
  readonly entries: ReadonlyMap<string, readonly Descriptor[]>;
  readonly nonDistributable: boolean;
  /** Runs the work for one content; its failure ends the copy. */
  readonly during: <T>(part: Part, run: () => Promise<T>) => Promise<T>;
}

/** Most contents of a copy. */
const mostContents = 100_000;

/** What contains a content, upwards. */
interface Above {
  readonly digest: Digest;
  readonly depth: number;
  readonly above: Above | undefined;
}

/**
 * Copies a content and all that it is made of, each once: what is under a manifest before the manifest, and so on
 * upwards. Returns what was left out, as it must not be redistributed.
 */
export async function walk(root: Part, options: CopyWalkOptions): Promise<readonly Descriptor[]> {
  const { state, queue, documents, during } = options;
  const visited = new Map<string, Promise<void>>();
  const skipped = new Map<string, Descriptor>();
  const visit = (part: Part, above: Above | undefined): Promise<void> => {
    const { descriptor } = part;
    const key = `${kindOf(descriptor.mediaType)} ${descriptor.digest}`;
    const known = visited.get(key);
    if (known) return known;
    const isDocument = kindOf(descriptor.mediaType) === 'manifests';
    if (!isDocument) reportState(state, descriptor, 'queued');
    const visiting = isDocument
      ? visitDocument(part, above)
      : queue.run(
          descriptor.size,
          () => during(part, () => copyBlob(descriptor, state, above?.digest)),
          descriptor.size,
        );
    visited.set(key, visiting);
    return visiting;
  };
  const visitDocument = async (part: Part, above: Above | undefined): Promise<void> => {
    const { descriptor } = part;
    const { digest } = descriptor;
    const here = { digest, depth: (above?.depth ?? 0) + 1, above };
    const read = async (): Promise<readonly Part[]> => {
      const document = await documents.read(descriptor);
      if (document.requested > 0) reportState(state, descriptor, 'begun');
      const found = partsOf(document, options, skipped);
      refuseEndless(here, found, visited.size);
      return found;
    };
    const children = await queue.run(Infinity, () => during(part, read));
    await Promise.all(children.map((child) => visit(child, here)));
    await queue.run(Infinity, () => during(part, () => documents.push(descriptor)));
  };
  await visit(root, undefined);
  return [...skipped.values()];
}

/** A content cannot contain its own digest; if a broken source claims that, the copy would wait for itself. */
function refuseEndless(here: Above, children: readonly Part[], visited: number): void {
  if (here.depth > mostDepth) {
    throw cannot('BAD_RESPONSE', `copy "${here.digest}"`, `nested more than ${mostDepth} deep`, { value: here.digest });
  }
  if (visited + children.length > mostContents) {
    throw cannot('TOO_LARGE', `copy "${here.digest}"`, `more than ${mostContents} contents in all`, {
      value: here.digest,
    });
  }
  const digests = new Set(children.map(({ descriptor }) => descriptor.digest as string));
  for (let one: Above | undefined = here; one; one = one.above) {
    if (digests.has(one.digest)) {
      throw cannot('BAD_RESPONSE', `copy "${one.digest}"`, 'it is a part of itself', { value: one.digest });
    }
  }
}

/** The contents of a manifest, without those that are left out. */
function partsOf(
  { document, descriptor }: ReadDocument,
  options: CopyWalkOptions,
  skipped: Map<string, Descriptor>,
): Part[] {
  if ('manifests' in document) {
    const entries = options.entries.get(descriptor.digest) ?? document.manifests;
    noteSizes(options.state, descriptor, entries);
    return entries.map((entry, place) => ({
      descriptor: usable(entry),
      role: `manifest ${place + 1} of ${entries.length}`,
    }));
  }
  const { config, layers } = document;
  noteSizes(options.state, descriptor, contentsOf(document));
  const parts = [{ descriptor: usable(config), role: 'config' }];
  for (const [place, layer] of layers.entries()) {
    if (options.nonDistributable || !isNonDistributable(layer.mediaType)) {
      parts.push({ descriptor: usable(layer), role: `layer ${place + 1} of ${layers.length}` });
      continue;
    }
    if (!isReadable(layer)) continue;
    if (!skipped.has(layer.digest)) reportState(options.state, layer, 'skipped');
    skipped.set(layer.digest, layer);
  }
  return parts;
}

/** The contents of an image manifest. */
export const contentsOf = ({ config, layers }: Manifest): readonly Descriptor[] => [config, ...layers];

/** Records the sizes in a document. `BAD_RESPONSE` if content has two: then one is wrong, whichever came first. */
export function noteSizes({ sizes }: Pick<CopyState, 'sizes'>, by: Descriptor, named: readonly Descriptor[]): void {
  for (const { digest, size } of named.filter(isReadable)) {
    const other = sizes.get(digest) ?? size;
    if (other !== size) {
      const found = `"${digest}" has ${size} bytes by one descriptor, and ${other} by another`;
      throw cannot('BAD_RESPONSE', `copy "${by.digest}"`, found, { value: by.digest, reason: 'size-conflict' });
    }
    sizes.set(digest, size);
  }
}
