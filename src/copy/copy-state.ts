import type { Liars } from '../content/attempts.ts';
import { asRegistryError, RegistryError } from '../errors.ts';
import type { ClientEvent, Emit } from '../events.ts';
import { type Descriptor, decodeData } from '../oci/descriptor.ts';
import { algorithmOf, digestOf } from '../oci/digest.ts';
import type { Source, Store } from '../source.ts';

/** What copies of one client share. */
export interface CopyContext {
  readonly emit: Emit;
  readonly liars: Liars;
  /** Any of them ends the copy. */
  readonly signals: readonly (AbortSignal | undefined)[];
  /** Milliseconds for one reading. */
  readonly operation?: number | undefined;
  /** Milliseconds before a reading's second reopening in a row that brings too little. */
  readonly backoff?: number | undefined;
  /** Most bytes of a manifest. */
  readonly manifestBytes: number;
}

/** One copy under way. */
export interface CopyState extends Omit<CopyContext, 'signals'> {
  readonly from: Source;
  readonly to: Store;
  /** What the store has is read again, whatever it knows of it. */
  readonly verify: boolean;
  /** Fires when the copy is to end, also because one of its contents failed. */
  readonly signal: AbortSignal;
  /** Bytes that were read for the store, and that it had. */
  readonly tally: { copied: number; present: number };
  /** Contents that were read before their turn, by digest. */
  readonly held: Map<string, Uint8Array>;
  /** Bytes of each content by its descriptors, by digest. */
  readonly sizes: Map<string, number>;
}

type CopyStep = Extract<ClientEvent, { readonly type: 'copy' }>['state'];

/** Reports the state of a content. */
export function reportState(
  { emit }: Pick<CopyState, 'emit'>,
  descriptor: Descriptor,
  state: CopyStep,
  offset = 0,
): void {
  const { digest, mediaType, size } = descriptor;
  emit({ type: 'copy', digest, mediaType, size, state, offset });
}

/** What the store knows of a content, if it has all of it; content of another size or with wrong bytes is another one. */
export async function findStored(
  { to, verify, signal }: CopyState,
  { digest, size }: Descriptor,
): Promise<Descriptor | undefined> {
  try {
    const found = await to.resolve(digest, { signal, verify: verify ? 'again' : true });
    return found.size === size ? found : undefined;
  } catch (thrown) {
    const error = asRegistryError(thrown, 'STORE_ERROR', `look for "${digest}"`);
    if (error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

/** The `data` of a descriptor, if it is right. */
export function ownData(descriptor: Descriptor): Uint8Array | undefined {
  try {
    const bytes = decodeData(descriptor);
    return bytes && digestOf(bytes, algorithmOf(descriptor.digest)) === descriptor.digest ? bytes : undefined;
  } catch (error) {
    if (error instanceof RegistryError && error.code !== 'UNSUPPORTED') return undefined;
    throw error;
  }
}
