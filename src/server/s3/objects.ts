import type { Range } from '../../oci/range.ts';
import type { Body } from '../../source.ts';

/** A small object, and its version: another one once it was written again. */
export interface ReadObject {
  readonly bytes: Uint8Array;
  readonly version: string;
}

/** An object that is being read. */
export interface OpenObject {
  /** Bytes of the whole object. */
  readonly size: number;
  readonly body: Body;
}

/** What a list has of an object or, of those that share a beginning up to the delimiter, of them all. */
export interface ListedObject {
  readonly key: string;
  /** When it was written, in milliseconds; undefined for a beginning. */
  readonly modified: number | undefined;
}

/** An object that is written in parts, of which nothing is seen until it is complete. */
export interface PartsInProgress {
  /** Adds the next part: at least 5 MiB, except the last. Its bytes must not change until this returns. */
  add(number: number, bytes: Uint8Array): Promise<void>;
  /** Adds the bytes of another object as the next part, without reading them. */
  copy(number: number, key: string): Promise<void>;
  complete(): Promise<void>;
  /** Drops the parts. Never fails. */
  abort(): Promise<void>;
}

/** Options of every call. */
export interface ObjectCall {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Objects by key, as a bucket keeps them. What is missing is undefined; each method fails with `UNAVAILABLE` or `TIMEOUT` if the
 * bucket cannot be used now, `STORE_ERROR` if it refuses, and `ABORTED`.
 */
export interface ObjectStorage {
  /** Name of the bucket, for messages. */
  readonly name: string;
  /** A small object, at most `limit` bytes: a larger one is `TOO_LARGE`. */
  read(key: string, limit: number, options?: ObjectCall): Promise<ReadObject | undefined>;
  open(key: string, options?: ObjectCall & { readonly range?: Range | undefined }): Promise<OpenObject | undefined>;
  /** Bytes of an object. */
  sizeOf(key: string, options?: ObjectCall): Promise<number | undefined>;
  /**
   * Writes an object, and gives its version. With `version` only if it has that one, with `undefined` for it only if there is
   * none; otherwise undefined, and nothing changes.
   */
  write(
    key: string,
    bytes: Uint8Array,
    options?: ObjectCall & { readonly only?: { readonly version: string | undefined } },
  ): Promise<string | undefined>;
  writeInParts(key: string, options?: ObjectCall): Promise<PartsInProgress>;
  /** Copies an object of at most 5 GiB inside the bucket. */
  copy(from: string, to: string, options?: ObjectCall): Promise<void>;
  /** Removes an object; one that is not there is not an error. */
  remove(key: string, options?: ObjectCall): Promise<void>;
  /** Objects whose keys begin so, sorted; what follows the next `delimiter` is listed once, with its beginning. */
  list(prefix: string, options?: ObjectCall & { readonly delimiter?: string }): AsyncIterable<ListedObject>;
  /** Where anyone can read an object for so many seconds. */
  urlOf(key: string, seconds: number): Promise<string>;
  /** Whether the bucket can be used; fails if not. */
  check(options?: ObjectCall): Promise<void>;
  /** Closes the connections. */
  close(): void;
}
