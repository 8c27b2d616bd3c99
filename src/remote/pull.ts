import { copyWith } from '../copy/copy.ts';
import type { Copied, CopyOptions } from '../copy/options.ts';
import { checkPullOptions } from '../copy/options.ts';
import { configError, naming } from '../errors.ts';
import type { Reference, Repository } from '../oci/reference.ts';
import { isStore, type Store } from '../source.ts';
import { quote } from '../text/quote.ts';
import type { Fetcher, FetcherContext } from './fetcher.ts';

/** How and where to pull. Events go to the client's `onEvent`. */
export interface PullOptions extends Omit<CopyOptions, 'onEvent'> {
  /**
   * A store, or the directory of an OCI image layout, as a path or a `file:` URL, which is created if it does not exist. A directory that is something
   * else, or that cannot be created or written, is `STORE_ERROR` before any request.
   */
  readonly to: Store | string | URL;
}

/** What was pulled. */
export interface Pulled extends Copied {
  readonly reference: Reference;
}

/** What a pull needs of its client. */
export interface PullContext extends FetcherContext {
  readonly fetcherOf: (repository: Repository) => Fetcher;
  readonly manifestBytes: number;
  /** The reference as it was given, for messages. */
  readonly label: string;
}

/** Copies what a reference names, under its tag, or without a name if the reference has only a digest. */
export async function pull(reference: Reference, options: PullOptions, context: PullContext): Promise<Pulled> {
  const { fetcherOf, closing, emit, liars, operation, backoff, manifestBytes, label } = context;
  const { registry, name: repository, tag, digest } = reference;
  checkPullOptions(options);
  const store = await storeOf(options.to);
  const pulled = await copyWith(
    { emit, liars, operation, backoff, manifestBytes, signals: [options.signal, closing] },
    {
      from: fetcherOf({ registry, name: repository }).source,
      to: store,
      reference: digest ?? tag ?? 'latest',
      label,
      options: { ...options, name: options.name ?? tag ?? (digest ? false : 'latest') },
    },
  ).catch((thrown: unknown) => {
    throw naming(thrown, { verb: 'pull', reference: label });
  });
  return { reference, ...pulled };
}

async function storeOf(to: PullOptions['to']): Promise<Store> {
  if ((typeof to === 'string' && to !== '') || isUrl(to)) {
    // Loaded only here, because it needs a file system.
    const { openLayout } = await import('../store/open-layout.ts');
    return openLayout(to);
  }
  if (typeof to === 'object' && to !== null && isStore(to)) return to;
  throw configError(`pull to ${quote(to)}`, [{ found: 'neither a store nor a directory' }]);
}

/** Not by its class: a URL may be of another realm. */
const isUrl = (to: unknown): to is URL =>
  typeof to === 'object' && to !== null && 'href' in to && typeof to.href === 'string';
