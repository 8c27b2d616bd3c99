import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { ClosedRange } from '../oci/range.ts';
import type { Fetched, Source } from '../source.ts';
import type { Warnings } from './warnings.ts';

/** Bytes wanted from a source, and what is known of its hosts so far. */
export interface Reading {
  readonly source: Source;
  readonly descriptor: Descriptor;
  readonly range: ClosedRange;
  readonly signal: AbortSignal;
  readonly emit: Emit;
  /** An answer to the whole that is open already. */
  readonly opened?: Fetched | undefined;
  /** Names of hosts to ask last. */
  readonly last: readonly string[];
  /** Names of hosts not to ask; those that send too much are added. */
  readonly except: string[];
  readonly warned?: Warnings | undefined;
  /** As `FetchOptions` has it. */
  readonly discard?: number | undefined;
  /** The bytes are hashed: wrong ones are found out in the end. */
  readonly isHashed: boolean;
  /** Called when the first byte is asked for. */
  begin(): void;
  /** Called with each chunk in order, before it is handed on. */
  take(chunk: Uint8Array, from: string): void;
  /** Called after the last byte; may refuse what was read. */
  complete(): void;
  /** Called once, however the reading ends. */
  over(): void;
}
