import { type Digest, isDigest } from '../../oci/digest.ts';
import { kindOf } from '../../oci/manifest.ts';
import type { Blobs } from '../blobs.ts';
import type { IndexEntry } from '../entries.ts';
import type { LockFolder } from '../lock.ts';
import { nobody } from '../owner.ts';
import { walk } from '../walk.ts';

/**
 * Content that came before the manifest that is to name it, as clients push it to a server: an empty file `expected-<digest>` says
 * so, from before the content has its final name until an entry of `index.json` reaches it. `gc` leaves such content alone for a while.
 */
export interface Expectations {
  /** Content is about to come, or to be needed though it is here. */
  note(digest: Digest): Promise<void>;
  /** Content that was noted has not come. Never fails. */
  withdraw(digest: Digest): Promise<void>;
  /** An entry of `index.json` leads to this document now. Never fails: what is still noted only stays longer. */
  settle(entry: IndexEntry['descriptor']): Promise<void>;
  /** Whether content was noted within so many milliseconds. */
  has(digest: Digest, grace: number): Promise<boolean>;
  /** What was noted within so many milliseconds, and all that these documents reach. */
  reached(grace: number, signal: AbortSignal | undefined): Promise<ReadonlySet<string>>;
}

/** Milliseconds for which content waits for its manifest. */
export const defaultGrace = 3_600_000;

const prefix = 'expected-';
const suffix = `.${nobody}`;
/** Times to create a folder that others remove. */
const mostTries = 10;

/** Whether a file of the folder is such a note, and not an old one. */
export const isExpectation = ({ key, modified }: { readonly key: string; readonly modified: number }, grace: number) =>
  key.startsWith(prefix) && Date.now() - modified < grace;

export function createExpectations({ files, folder, join }: LockFolder, blobs: Blobs): Expectations {
  const pathOf = (digest: string): string => join(folder, `${prefix}${digest.replace(':', '-')}${suffix}`);
  const noted = async (): Promise<readonly Digest[]> => {
    const names = ((await files.list(folder)) ?? []).filter((name) => name.startsWith(prefix) && name.endsWith(suffix));
    return names.map((name) => name.slice(prefix.length, -suffix.length).replace('-', ':')).filter(isDigest);
  };
  const has: Expectations['has'] = async (digest, grace) => {
    const facts = await files.examine(pathOf(digest));
    return facts !== undefined && isExpectation({ key: prefix, modified: facts.modified }, grace);
  };
  return {
    has,
    note: async (digest) => {
      const path = pathOf(digest);
      for (let tries = 0; tries < mostTries; tries++) {
        const file = await files.open(path, 'create');
        if (file) return file.close();
        if (await files.touch(path)) return;
        await files.makeDirectory(folder);
      }
    },
    withdraw: async (digest) => {
      try {
        if (!(await blobs.factsOf(digest))) await files.remove(pathOf(digest));
        await files.removeDirectory(folder);
      } catch {
        // It is removed when it is old.
      }
    },
    settle: async (descriptor) => {
      try {
        const left = new Set<string>(await noted());
        if (left.size === 0 || !descriptor) return;
        const entries = [{ raw: undefined, descriptor }];
        for await (const { descriptor: found } of walk({ document: {}, entries }, blobs, { onInvalid: () => {} })) {
          if (left.delete(found.digest)) await files.remove(pathOf(found.digest));
        }
        if (left.size === 0) await files.removeDirectory(folder);
      } catch {
        // It is only kept longer.
      }
    },
    reached: async (grace, signal) => {
      const found = new Set<string>();
      const entries: IndexEntry[] = [];
      for (const digest of await noted()) {
        if (!(await has(digest, grace))) continue;
        found.add(digest);
        const facts = await blobs.factsOf(digest);
        const mediaType = facts && (await blobs.typeOf(digest, facts));
        if (mediaType && kindOf(mediaType) === 'manifests')
          entries.push({ raw: undefined, descriptor: { mediaType, digest, size: facts.size } });
      }
      for await (const { descriptor } of walk({ document: {}, entries }, blobs, { signal, onInvalid: () => {} }))
        found.add(descriptor.digest);
      return found;
    },
  };
}
