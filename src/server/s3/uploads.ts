import { RegistryError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { mediaTypes } from '../../oci/manifest.ts';
import type { CallOptions, Upload, UploadLimits, Uploads } from '../../source.ts';
import { missingUpload, tooManyUploads, uploadInUse } from '../../store/store-error.ts';
import { append } from './append.ts';
import { compose } from './compose.ts';
import type { ObjectStorage } from './objects.ts';
import {
  bytesOf,
  type KnownState,
  removePieces,
  sizeOf,
  stateIn,
  type UploadPlace,
  type UploadState,
} from './upload-state.ts';

const defaults = { uploads: 1_000, uploadIdle: 86_400_000 };
const stateBytes = 4_194_304;
const idGrammar = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Uploads that this process is adding to. */
const busy = new WeakMap<ObjectStorage, Set<string>>();

/**
 * Uploads whose bytes are pieces in a bucket, which any process can continue. Two calls at a time are refused: in one process as
 * soon as the second begins, in several when one of them ends and finds that the other has been there.
 */
export function bucketUploads(
  place: UploadPlace,
  enter: (target: Descriptor, options: CallOptions) => Promise<void>,
): Uploads {
  const { name, objects, keys } = place;
  const isBusy = busy.get(objects) ?? new Set<string>();
  busy.set(objects, isBusy);
  const read = async (id: string, { signal }: CallOptions): Promise<KnownState> => {
    const found = idGrammar.test(id) ? await objects.read(keys.upload(id), stateBytes, { signal }) : undefined;
    const state = found && stateIn(found.bytes);
    if (!found || state?.repository !== name) throw missingUpload(id);
    return { state, version: found.version };
  };
  /** Works on an upload that nobody else works on. */
  const use = async <T>(id: string, options: CallOptions, work: (known: KnownState) => Promise<T>): Promise<T> => {
    if (isBusy.has(id)) throw uploadInUse(id);
    isBusy.add(id);
    try {
      return await work(await read(id, options));
    } finally {
      isBusy.delete(id);
    }
  };
  const end = async (id: string): Promise<void> => {
    await objects.remove(keys.upload(id));
    await removePieces(place, id);
  };
  const uploadOf = (id: string, limits: UploadLimits, begun: UploadState): Upload => {
    let state = begun;
    return {
      id,
      get size() {
        return sizeOf(state);
      },
      append: (body, options = {}) =>
        use(id, options, async (known) => {
          const added = await append(place, { id, known, limits, options }, body);
          state = added.state;
          if (added.failure) throw added.failure.error;
        }),
      commit: (digest, options = {}) =>
        use(id, options, async ({ state: { pieces } }) => {
          try {
            await compose(place, { id, pieces, digest }, options);
          } catch (error) {
            if (error instanceof RegistryError && error.code === 'DIGEST_MISMATCH') await end(id);
            throw error;
          }
          await enter({ mediaType: mediaTypes.octets, digest, size: sizeOf({ pieces }) }, options);
          await end(id);
        }),
      cancel: () => use(id, {}, () => end(id)),
    };
  };
  return {
    beginUpload: async (limits = {}) => {
      await makeRoom(place, limits, end);
      const id = crypto.randomUUID();
      const state = { repository: name, pieces: [], touched: Date.now() };
      await objects.write(keys.upload(id), bytesOf(state), { signal: limits.signal });
      return uploadOf(id, limits, state);
    },
    findUpload: async (id, limits = {}) => uploadOf(id, limits, (await read(id, limits)).state),
  };
}

/** `RATE_LIMITED` if as many uploads are open as may be; those that nobody continues are dropped first. */
async function makeRoom(
  { objects, keys }: UploadPlace,
  { uploads = defaults.uploads, uploadIdle = defaults.uploadIdle, signal }: UploadLimits,
  end: (id: string) => Promise<void>,
): Promise<void> {
  const open: string[] = [];
  for await (const { key } of objects.list(keys.uploads, { signal })) open.push(key);
  if (open.length < uploads) return;
  let left = open.length;
  for (const key of open) {
    const found = await objects.read(key, stateBytes, { signal });
    const state = found && stateIn(found.bytes);
    if (state && Date.now() - state.touched <= uploadIdle) continue;
    await end(key.slice(keys.uploads.length));
    left -= 1;
  }
  if (left < uploads) return;
  throw tooManyUploads(left, uploads);
}

/** Drops uploads that nobody has continued for so many milliseconds, and what is left of others; gives their number. */
export async function purgeUploads(
  { objects, keys }: Omit<UploadPlace, 'name'>,
  age: number,
  { signal }: CallOptions = {},
): Promise<number> {
  const isOld = (modified = 0): boolean => Date.now() - modified > age;
  const open = new Set<string>();
  let dropped = 0;
  for await (const { key, modified } of objects.list(keys.uploads, { signal })) {
    if (isOld(modified)) {
      await objects.remove(key, { signal });
      dropped += 1;
    } else open.add(key.slice(keys.uploads.length));
  }
  for await (const { key, modified } of objects.list(keys.allPieces, { signal })) {
    const [id = ''] = key.slice(keys.allPieces.length).split('/');
    if (isOld(modified) && !open.has(id)) await objects.remove(key, { signal });
  }
  return dropped;
}
