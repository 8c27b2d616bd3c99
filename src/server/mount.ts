import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { isRepositoryName } from '../oci/reference.ts';
import type { Store } from '../source.ts';
import { type Exchange, octets } from './exchange.ts';

/** Whether the blob is here, or could be brought from the repository named; any failure there means: upload it. */
export async function mounted(exchange: Exchange, store: Store, digest: Digest): Promise<boolean> {
  const { signal } = exchange.request;
  const from = exchange.query.get('from');
  if (await has(store, digest, signal)) return true;
  if (from === null || !isRepositoryName(from)) return false;
  const source = exchange.sibling(from);
  try {
    const descriptor = await source.resolve(digest, { signal });
    const { body } = await source.fetch(descriptor, { signal });
    await store.push({ ...descriptor, mediaType: octets }, body, { signal });
    return true;
  } catch (error) {
    if (error instanceof RegistryError) return false;
    throw error;
  }
}

/** Whether a store has this content. */
export async function has(store: Store, digest: Digest, signal: AbortSignal): Promise<boolean> {
  try {
    await store.resolve(digest, { signal });
    return true;
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}
