import { type Digest, isDigest } from '../../oci/digest.ts';
import { builtin } from '../../runtime.ts';
import { nodeFiles } from '../../store/node-files.ts';
import { smallFiles } from './small-files.ts';

/** What a store has, in the order in which it was used. */
export interface Contents {
  /** Resolves once it is known what an earlier process has left. */
  readonly ready: Promise<void>;
  /** Of all together, with what broke off. */
  readonly bytes: number;
  readonly count: number;
  oldestFirst(): readonly (readonly [digest: Digest, bytes: number])[];
  /** It was used just now, if it is there. */
  touch(digest: string): void;
  add(digest: Digest, bytes: number): void;
  forget(digest: string): void;
  /** Returns when the order is on the disk. */
  close(): Promise<void>;
}

/** Milliseconds between a use and its being on the disk. */
const saveAfter = 60_000;
const orderKey = 'order';

/**
 * The contents of a layout's directory, and the order of their use, which survives in `folder`: what it says nothing of was
 * last used when it was written. Without a directory, what is added.
 */
export function contentsOf(directory: string | undefined, folder: string | undefined): Contents {
  const disk = folder === undefined ? undefined : smallFiles(folder);
  let sizes = new Map<Digest, number>();
  let bytes = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** Only a hint: what cannot be written is forgotten. */
  const save = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    await disk?.write(orderKey, [...sizes.keys()]).catch(() => {});
  };
  const saveSoon = (): void => {
    if (!disk || timer) return;
    timer = setTimeout(save, saveAfter);
    timer.unref?.();
  };
  const put = (digest: Digest, size: number): void => {
    sizes.delete(digest);
    sizes.set(digest, size);
    saveSoon();
  };
  const load = async (): Promise<void> => {
    if (directory === undefined) return;
    const { found, leftover } = await scan(directory);
    const order = await disk?.read(orderKey).catch(() => undefined);
    const rank = new Map<unknown, number>(Array.isArray(order) ? order.map((digest, at) => [digest, at]) : []);
    // What is not in the order was written later than it.
    const place = ({ digest }: Scanned): number => rank.get(digest) ?? Number.MAX_SAFE_INTEGER;
    const sorted = found.sort((a, b) => place(a) - place(b) || a.modified - b.modified);
    const newer = sizes;
    sizes = new Map(sorted.filter(({ digest }) => !newer.has(digest)).map(({ digest, size }) => [digest, size]));
    bytes += leftover + [...sizes.values()].reduce((sum, size) => sum + size, 0);
    for (const [digest, size] of newer) sizes.set(digest, size);
  };
  return {
    ready: load().catch(() => {}),
    get bytes() {
      return bytes;
    },
    get count() {
      return sizes.size;
    },
    oldestFirst: () => [...sizes],
    touch: (digest) => {
      const size = isDigest(digest) ? sizes.get(digest) : undefined;
      if (isDigest(digest) && size !== undefined) put(digest, size);
    },
    add: (digest, size) => {
      bytes += size - (sizes.get(digest) ?? 0);
      put(digest, size);
    },
    forget: (digest) => {
      if (!isDigest(digest)) return;
      bytes -= sizes.get(digest) ?? 0;
      sizes.delete(digest);
      saveSoon();
    },
    close: async () => {
      if (timer) await save();
    },
  };
}

interface Scanned {
  readonly digest: Digest;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

/** The contents of a layout, and the bytes of what broke off. */
async function scan(directory: string): Promise<{ readonly found: Scanned[]; readonly leftover: number }> {
  const files = nodeFiles();
  const join = builtin('node:path')?.join ?? ((...parts: string[]) => parts.join('/'));
  const found: Scanned[] = [];
  let leftover = 0;
  for (const algorithm of (await files.list(join(directory, 'blobs'))) ?? []) {
    for (const hex of (await files.list(join(directory, 'blobs', algorithm))) ?? []) {
      const digest: Digest = `${algorithm}:${hex}`;
      const facts = isDigest(digest) ? await files.examine(join(directory, 'blobs', algorithm, hex)) : undefined;
      if (facts?.type === 'file') found.push({ digest, size: facts.size, modified: facts.modified });
    }
  }
  for (const name of (await files.list(join(directory, '.ocifetch'))) ?? []) {
    leftover += (await files.examine(join(directory, '.ocifetch', name)))?.size ?? 0;
  }
  return { found, leftover };
}
