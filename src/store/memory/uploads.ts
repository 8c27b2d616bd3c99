import { RegistryError } from '../../errors.ts';
import { mediaTypes } from '../../oci/manifest.ts';
import { createPile, type Pile } from '../../pile.ts';
import type { AppendOptions, Chunks, Store, Upload, UploadLimits, Uploads } from '../../source.ts';
import { missingUpload, tooLong, tooManyUploads, tooShort, type UploadCount, uploadInUse } from '../store-error.ts';

/** The state of one upload. */
interface MemoryUpload {
  /** Whose it is: it exists for nobody else. */
  readonly owner: string;
  readonly kept: Pile;
  /** What the request that is adding to it has brought. */
  readonly added: Pile;
  isBusy: boolean;
  expiry: ReturnType<typeof setTimeout> | undefined;
}

/** Uploads whose bytes are held in memory until they are pushed. The limits hold for all owners together. */
export interface MemoryUploads {
  /** The uploads of one owner, for example a repository, into its store. */
  into(store: Pick<Store, 'push'>, owner: string): Uploads;
}

const defaults = { uploadBytes: 268_435_456, uploads: 64, uploadIdle: 300_000 };

export function createMemoryUploads(): MemoryUploads {
  const all = new Map<string, MemoryUpload>();

  const end = (id: string): void => {
    clearTimeout(all.get(id)?.expiry);
    all.delete(id);
  };
  const startExpiry = (id: string, { uploadIdle = defaults.uploadIdle }: UploadLimits): void => {
    const upload = all.get(id);
    if (!upload || upload.isBusy) return;
    clearTimeout(upload.expiry);
    upload.expiry = setTimeout(() => end(id), uploadIdle);
    // An abandoned upload must not keep the process alive.
    (upload.expiry as { unref?: () => void }).unref?.();
  };
  const stateOf = (id: string, owner: string): MemoryUpload => {
    const upload = all.get(id);
    if (upload?.owner === owner) return upload;
    throw missingUpload(id);
  };
  /** Works on an upload that nobody else works on, and that cannot expire meanwhile. */
  const use = async (
    id: string,
    { owner, limits }: { readonly owner: string; readonly limits: UploadLimits },
    work: (upload: MemoryUpload) => Promise<void>,
  ): Promise<void> => {
    const upload = stateOf(id, owner);
    if (upload.isBusy) throw uploadInUse(id);
    upload.isBusy = true;
    clearTimeout(upload.expiry);
    try {
      await work(upload);
    } finally {
      upload.isBusy = false;
      startExpiry(id, limits);
    }
  };

  return {
    into: (store, owner) => {
      const uploadOf = (id: string, limits: UploadLimits): Upload => ({
        id,
        get size() {
          const { kept, added } = stateOf(id, owner);
          return kept.size + added.size;
        },
        append: (body, options = {}) =>
          use(id, { owner, limits }, (upload) => append(upload, body, { id, limits, ...options })),
        commit: (digest, { signal } = {}) =>
          use(id, { owner, limits }, async ({ kept }) => {
            const { size } = kept;
            const chunks = kept.takeAll();
            try {
              await store.push({ mediaType: mediaTypes.octets, digest, size }, each(chunks), { signal });
            } catch (error) {
              addAll(kept, chunks);
              if (error instanceof RegistryError && error.code === 'DIGEST_MISMATCH') end(id);
              throw error;
            }
            end(id);
          }),
        cancel: () => use(id, { owner, limits }, async () => end(id)),
      });
      return {
        beginUpload: async (limits = {}) => {
          const { uploads = defaults.uploads } = limits;
          if (all.size >= uploads) throw tooManyUploads(all.size, uploads);
          const id = crypto.randomUUID();
          all.set(id, { owner, kept: createPile(), added: createPile(), isBusy: false, expiry: undefined });
          startExpiry(id, limits);
          return uploadOf(id, limits);
        },
        findUpload: async (id, limits = {}) => {
          stateOf(id, owner);
          startExpiry(id, limits);
          return uploadOf(id, limits);
        },
      };
    },
  };
}

async function append(
  { kept, added }: MemoryUpload,
  body: Chunks,
  { id, start, size, limits }: AppendOptions & { readonly id: string; readonly limits: UploadLimits },
): Promise<void> {
  if (start !== undefined && start !== kept.size) throw uploadInUse(id);
  const { uploadBytes = defaults.uploadBytes } = limits;
  const count = (): UploadCount => ({ before: kept.size, added: added.size, uploadBytes, size });
  /** Of what is refused nothing stays. */
  const check = (problem: RegistryError | undefined): void => {
    if (!problem) return;
    added.takeAll();
    throw problem;
  };
  try {
    for await (const chunk of body) {
      added.add(chunk);
      check(tooLong(id, count()));
    }
    check(tooShort(id, count()));
  } finally {
    // Also of a body that broke.
    addAll(kept, added.takeAll());
  }
}

function addAll(pile: Pile, chunks: readonly Uint8Array[]): void {
  for (const chunk of chunks) pile.add(chunk);
}

async function* each(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
