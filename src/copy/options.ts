import type { ClientEvent } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Platform } from '../oci/platform.ts';

/**
 * Which images of an index: `'all'` of them, attestations, too; or those for one or several platforms, as text
 * (`linux/arm64/v8`, `windows(10.0.17763)/amd64`; `linux` for this machine's architecture) or as records.
 */
export type PlatformChoice = 'all' | string | Platform | readonly (string | Platform)[];

/** How to copy. */
export interface CopyOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Default: the platform of this machine. An index of which no entry is for a platform is then copied whole; with a
   * platform that is named its only image is, and more than one are `NOT_FOUND`.
   */
  readonly platform?: PlatformChoice | undefined;
  /** Contents copied at a time. Default 4: over a fast network more are slower on few cores, as they leave the caches. */
  readonly concurrency?: number | undefined;
  /** Copies layers that their licence does not allow to hand on, too. Default: left out, and told. */
  readonly nonDistributable?: boolean | undefined;
  /** What the store calls it; `false` for no name. Default: the tag of the reference. */
  readonly name?: string | false | undefined;
  readonly onEvent?: ((event: ClientEvent) => void) | undefined;
}

/** What was copied. */
export interface Copied {
  /** What the name stands for in the store: where one platform was chosen, its manifest. */
  readonly descriptor: Descriptor;
  /** What the reference names. */
  readonly resolved: Descriptor;
  /** Bytes that were asked for and given to the store, also those that turned out wrong; what a descriptor carries is not. */
  readonly copied: number;
  /** Bytes that the store had, also of what broke off an earlier time, and that were not asked for. */
  readonly present: number;
  /** What was left out, as it is not distributable. */
  readonly skipped: readonly Descriptor[];
  /**
   * What the name stood for in the store before, where that was something else. Without another name a layout gives it up
   * at the next `gc`.
   */
  readonly replaced?: Descriptor;
}
