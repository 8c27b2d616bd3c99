import type { ClientEvent } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Platform } from '../oci/platform.ts';
import { abortSignal, anything, type Check, checkOptions, flag, listener, wholeNumber } from '../text/problems.ts';

/**
 * Which images of an index: `'all'` of them, attestations, too; or those for one or several platforms, as text
 * (`linux/arm64/v8`, `windows(10.0.17763)/amd64`; `linux` for this machine's architecture) or as records.
 */
export type PlatformChoice = 'all' | string | Platform | readonly (string | Platform)[];

/** How to copy. */
export interface CopyOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Default: the platform of this machine. An index without any entry for a platform is then copied whole; if a platform is
   * named, its only image is, and more than one are `NOT_FOUND`.
   */
  readonly platform?: PlatformChoice | undefined;
  /**
   * Contents copied at a time. Default: as the network needs: 4, and 6 if each of them comes slowly; up to 64 of those of up to
   * 1 MiB, which wait for the network most of the time.
   */
  readonly concurrency?: number | undefined;
  /** Also copies layers that must not be redistributed. Default: left out, and reported. */
  readonly nonDistributable?: boolean | undefined;
  /**
   * Reads again what the store has of it, whatever the store knows, and replaces what is wrong. Default: a layout hashes what
   * this process has not hashed before, or what changed since by its size, times or inode.
   */
  readonly verify?: boolean | undefined;
  /** Its name in the store; `false` for no name. Default: the tag of the reference. */
  readonly name?: string | false | undefined;
  /** Most bytes of a manifest or index. Default: what the client allows whose source is copied from, else 4 MiB. */
  readonly limits?: { readonly manifestBytes?: number | undefined } | undefined;
  readonly onEvent?: ((event: ClientEvent) => void) | undefined;
}

/** What was copied. */
export interface Copied {
  /** What the name stands for in the store: if one platform was chosen, its manifest. */
  readonly descriptor: Descriptor;
  /** What the reference names. */
  readonly resolved: Descriptor;
  /** Bytes that were requested and given to the store, also those that turned out wrong, but not those that a descriptor carries. */
  readonly copied: number;
  /** Bytes that the store had, also of an earlier copy that broke off, and that were not requested. */
  readonly present: number;
  /** What was left out, as it must not be redistributed. */
  readonly skipped: readonly Descriptor[];
  /**
   * What the name stood for in the store before, if that was something else. Without another name a layout removes it at
   * the next `gc`.
   */
  readonly replaced?: Descriptor;
}

/** The options of both a copy and a pull. Other values than these are checked where they are used. */
const common: Readonly<Record<keyof Omit<CopyOptions, 'onEvent'>, Check>> = {
  signal: abortSignal,
  platform: anything,
  concurrency: anything,
  nonDistributable: flag,
  verify: flag,
  name: anything,
  limits: () => ({ manifestBytes: wholeNumber(1) }),
};

/** Refuses unknown options of a copy: `INVALID_CONFIG`. */
export const checkCopyOptions = (options: unknown): void =>
  checkOptions('copy', options, { ...common, onEvent: listener });

/** Refuses unknown options of a pull: `INVALID_CONFIG`. */
export const checkPullOptions = (options: unknown): void => checkOptions('pull', options, { to: anything, ...common });
