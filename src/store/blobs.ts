import { remember } from '../bounded-map.ts';
import { cannot } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, digestProblem, parseDigest } from '../oci/digest.ts';
import { isDocumentType, mediaTypes, storedManifestBytes, typeOfDocument } from '../oci/manifest.ts';
import type { CallOptions } from '../source.ts';
import { readFile, readMode, readPart } from './file-io.ts';
import type { FileFacts, OpenFile } from './files.ts';
import type { LockFolder } from './lock.ts';
import { hasDigest } from './verified.ts';

/** The contents of a layout: `blobs/<algorithm>/<hex>`. */
export interface Blobs {
  /** Where content is, or would be. `INVALID_DIGEST` for what is not a digest. */
  pathOf(digest: string): string;
  /** The file of a content; undefined if it is not here, or not as the options want it. */
  factsOf(digest: string, how?: Pick<CallOptions, 'links' | 'verify' | 'signal'>): Promise<FileFacts | undefined>;
  /** The open file of a content; undefined if it is not here, or only through a link and these do not count. */
  open(digest: string, links?: boolean): Promise<OpenFile | undefined>;
  /**
   * Describes a content by its file; undefined if it is not here, or not as the options want it. If they want its content
   * next, a small one is read at the same time, and kept for `taken` as long as the descriptor.
   */
  described(
    digest: string,
    options: CallOptions,
    describe: (facts: FileFacts) => Descriptor | Promise<Descriptor>,
  ): Promise<Descriptor | undefined>;
  /** The bytes that were read when this very descriptor was made, with or without links as now; once. */
  taken(descriptor: Descriptor, links?: boolean): Uint8Array | undefined;
  /** The content of a manifest or index; undefined for what is not here, or too large for one. */
  document(digest: string, links?: boolean): Promise<Uint8Array | undefined>;
  /** The media type that the bytes of a file themselves give. They are read once for each version of it that is given. */
  typeOf(digest: string, facts: Pick<FileFacts, 'size'> & Partial<FileFacts>, links?: boolean): Promise<string>;
  /** Files under `blobs`: those of contents, and all others. */
  list(): Promise<{ readonly digests: readonly Digest[]; readonly strangers: readonly string[] }>;
  /** Returns when the disk has the names of all contents. */
  sync(): Promise<void>;
}

/** Most bytes of a content that is read when it is resolved. */
const mostHeld = 1_048_576;
/** Most files whose type is remembered. */
const mostTypes = 10_000;
/** Bytes within which a JSON object begins. */
const headBytes = 64;

export function createBlobs(directory: string, { files, join }: Pick<LockFolder, 'files' | 'join'>): Blobs {
  const root = join(directory, 'blobs');
  const pathOf = (digest: string): string => {
    const valid = parseDigest(digest);
    const algorithm = algorithmOf(valid);
    return join(root, algorithm, valid.slice(algorithm.length + 1));
  };
  const isBehindLink = async (path: string): Promise<boolean> => {
    for (const folder of [root, join(path, '..')]) if ((await files.examine(folder))?.isLink) return true;
    return false;
  };
  const factsOf: Blobs['factsOf'] = async (digest, { links = true, verify = false, signal } = {}) => {
    const path = pathOf(digest);
    if (!links && (await isBehindLink(path))) return undefined;
    const facts = await files.facts(path, links);
    if (!facts || !verify) return facts;
    return (await hasDigest(files, path, facts, { digest: parseDigest(digest), again: verify === 'again', signal }))
      ? facts
      : undefined;
  };
  const open: Blobs['open'] = async (digest, links) => {
    try {
      return await files.open(pathOf(digest), readMode(links));
    } catch (error) {
      // A link is an error of opening without links.
      if (await factsOf(digest, { links })) throw error;
      return undefined;
    }
  };
  const document: Blobs['document'] = async (digest, links) => {
    const facts = await factsOf(digest, { links });
    if (!facts || facts.size > storedManifestBytes) return undefined;
    return readFile(files, pathOf(digest), storedManifestBytes, readMode(links));
  };
  const types = new Map<string, { readonly version: string; readonly type: string }>();
  const readType = async (digest: string, size: number, links?: boolean): Promise<string> => {
    if (size > storedManifestBytes) return mediaTypes.octets;
    const head = await readPart(files, pathOf(digest), Math.min(size, headBytes), readMode(links));
    if (!head || !/^\s*(?:\{|$)/.test(new TextDecoder().decode(head))) return mediaTypes.octets;
    const bytes = size > headBytes ? await document(digest, links) : head;
    return bytes ? typeOfBytes(bytes) : mediaTypes.octets;
  };
  return {
    pathOf,
    factsOf,
    open,
    ...createDescribed(open, factsOf),
    document,
    typeOf: async (digest, { size, version }, links) => {
      const path = pathOf(digest);
      const known = types.get(path);
      if (known && known.version === version) return known.type;
      const type = await readType(digest, size, links);
      if (version !== undefined) remember(types, path, { version, type }, mostTypes);
      return type;
    },
    list: async () => {
      const digests: Digest[] = [];
      const strangers: string[] = [];
      for (const algorithm of (await files.list(root)) ?? []) {
        if ((await files.examine(join(root, algorithm)))?.type !== 'directory') {
          strangers.push(join(root, algorithm));
          continue;
        }
        for (const hex of (await files.list(join(root, algorithm))) ?? []) {
          const digest: Digest = `${algorithm}:${hex}`;
          if (digestProblem(digest) === undefined) digests.push(digest);
          else strangers.push(join(root, algorithm, hex));
        }
      }
      return { digests: digests.sort(), strangers: strangers.sort() };
    },
    sync: async () => {
      const algorithms: string[] = [];
      for (const name of (await files.list(root)) ?? []) {
        if ((await files.examine(join(root, name)))?.type === 'directory') algorithms.push(name);
      }
      await Promise.all([root, ...algorithms.map((algorithm) => join(root, algorithm))].map(files.syncDirectory));
    },
  };
}

/** Descriptions of contents, and the bytes of small ones, as long as the descriptors that were made with them. */
function createDescribed(open: Blobs['open'], factsOf: Blobs['factsOf']): Pick<Blobs, 'described' | 'taken'> {
  const held = new WeakMap<Descriptor, { readonly bytes: Uint8Array; readonly links: boolean }>();
  const hold = async (descriptor: Descriptor, file: OpenFile, links: boolean): Promise<void> => {
    const { size } = file.found;
    if (size > mostHeld) return;
    const bytes = new Uint8Array(size);
    if ((await file.read(bytes, 0)) === size) held.set(descriptor, { bytes, links });
  };
  return {
    described: async (digest, options, describe) => {
      const { links = true, content = false, verify = false } = options;
      const file = content && !verify ? await open(digest, links) : undefined;
      try {
        const facts = file?.found ?? (await factsOf(digest, options));
        const descriptor = facts && (await describe(facts));
        if (descriptor && file) await hold(descriptor, file, links);
        return descriptor;
      } finally {
        await file?.close();
      }
    },
    taken: (descriptor, links = true) => {
      const found = held.get(descriptor);
      held.delete(descriptor);
      return found?.links === links ? found.bytes : undefined;
    },
  };
}

/** The type of the manifest or index that bytes by themselves are; that of any bytes for all others. */
export function typeOfBytes(bytes: Uint8Array): string {
  try {
    const type = typeOfDocument(bytes);
    return isDocumentType(type) ? type : mediaTypes.octets;
  } catch {
    return mediaTypes.octets;
  }
}

/** Refuses content whose size is not that of its descriptor. */
export function checkSize({ digest, size }: Descriptor, path: string, found: number): void {
  if (size < 0 || found === size) return;
  throw cannot('STORE_ERROR', `fetch "${digest}"`, `"${path}" has ${found} bytes, expected ${size}`, {
    value: digest,
  });
}
