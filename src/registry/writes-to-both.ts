import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { type CallOptions, isStore, type Store, type Upload, type Uploads } from '../source.ts';
import type { AbleSource } from './changed.ts';

/**
 * The writes of two stores as one: each goes to the first, and what that has then to the second. If the second fails, so does
 * the write, and the first one keeps it: a repetition gives it to both. What only one of them has can be deleted. Nothing if
 * one of them is not a store.
 */
export function writesToBoth(first: AbleSource, second: AbleSource): Partial<AbleSource> {
  if (!isStore(first) || !isStore(second)) return {};
  const pass = (digest: Digest, mediaType: string | undefined, options?: CallOptions): Promise<void> =>
    copyContent(first, second, { digest, mediaType, options });
  const { keep, begin, remove, untag, beginUpload, findUpload, mount } = first as AbleSource;
  const other: AbleSource = second;
  return {
    push: async (target, body, options) => {
      await first.push(target, body, options);
      await pass(target.digest, target.mediaType, options);
    },
    tag: async (target, name, options) => {
      for (const store of [first, second]) await store.tag(target, name, options);
    },
    ...(keep && {
      keep: async (target, options) => {
        await keep(target, options);
        await other.keep?.(target, options);
      },
    }),
    ...((begin || other.begin) && { begin: () => endOf([begin?.(), other.begin?.()]) }),
    ...(remove &&
      other.remove && {
        remove: (digest, options) => fromEither(remove(digest, options), other.remove?.(digest, options)),
      }),
    ...(untag &&
      other.untag && { untag: (name, options) => fromEither(untag(name, options), other.untag?.(name, options)) }),
    ...(beginUpload && findUpload && uploadsToBoth({ beginUpload, findUpload }, pass)),
    ...(mount && {
      mount: async (digest, from, options) => {
        if (!(await mount(digest, from, options))) return false;
        await pass(digest, undefined, options);
        return true;
      },
    }),
  };
}

/** Gives content of one store to another that does not have it. */
async function copyContent(
  from: Store,
  to: Store,
  {
    digest,
    mediaType,
    options,
  }: { readonly digest: Digest; readonly mediaType: string | undefined; readonly options: CallOptions | undefined },
): Promise<void> {
  const found = await from.resolve(digest, options);
  const target = { ...found, mediaType: mediaType ?? found.mediaType };
  const { body } = await from.fetch(target, options);
  await to.push(target, body, options);
}

/** Uploads into one store whose content is given to the other at their end. */
function uploadsToBoth(
  uploads: Uploads,
  pass: (digest: Digest, mediaType: string | undefined, options?: CallOptions) => Promise<void>,
): Uploads {
  const toBoth = (upload: Upload): Upload => ({
    id: upload.id,
    get size() {
      return upload.size;
    },
    get minimumChunk() {
      return upload.minimumChunk;
    },
    append: (body, options) => upload.append(body, options),
    commit: async (digest, options) => {
      await upload.commit(digest, options);
      await pass(digest, undefined, options);
    },
    cancel: () => upload.cancel(),
  });
  return {
    beginUpload: async (limits) => toBoth(await uploads.beginUpload(limits)),
    findUpload: async (id, limits) => toBoth(await uploads.findUpload(id, limits)),
  };
}

/** Ends each work; never fails, as none of them does. */
const endOf =
  (ends: readonly ((() => Promise<void>) | undefined)[]): (() => Promise<void>) =>
  async () => {
    await Promise.all(ends.map((end) => end?.()));
  };

/** Fails if something failed, except that what only one of the two does not have is no failure. */
async function fromEither(...works: readonly (Promise<void> | undefined)[]): Promise<void> {
  const results = await Promise.allSettled(works);
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
  const isMissing = (error: unknown): boolean => error instanceof RegistryError && error.code === 'NOT_FOUND';
  const failed = errors.find((error) => !isMissing(error)) ?? (errors.length === works.length ? errors[0] : undefined);
  if (failed !== undefined) throw failed;
}
