import { readJson } from '../../text/json.ts';
import type { BucketKeys } from './entries.ts';
import type { ObjectStorage } from './objects.ts';

/** Where uploads are kept. */
export interface UploadPlace {
  readonly name: string;
  readonly objects: ObjectStorage;
  readonly keys: BucketKeys;
}

/** A part of an upload, as an object of its own. */
export interface Piece {
  readonly key: string;
  readonly size: number;
}

/** What is known of an upload, as any process reads it. */
export interface UploadState {
  readonly repository: string;
  readonly pieces: readonly Piece[];
  /** When it was written, in milliseconds since 1970. */
  readonly touched: number;
}

/** A state, and the version of its object. */
export interface KnownState {
  readonly state: UploadState;
  readonly version: string;
}

/** Removes the pieces of an upload; never fails, as `purgeUploads` removes what stays. */
export async function removePieces({ objects, keys }: Omit<UploadPlace, 'name'>, id: string): Promise<void> {
  try {
    for await (const { key } of objects.list(keys.pieces(id))) await objects.remove(key);
  } catch {
    // Nobody sees them any more.
  }
}

export const sizeOf = ({ pieces }: Pick<UploadState, 'pieces'>): number =>
  pieces.reduce((sum, { size }) => sum + size, 0);

export const bytesOf = (state: UploadState): Uint8Array => new TextEncoder().encode(JSON.stringify(state));

/** Undefined if it is not the state of an upload. */
export function stateIn(bytes: Uint8Array): UploadState | undefined {
  const read = readJson(bytes);
  const value = 'value' in read ? (read.value as Partial<UploadState> | null) : undefined;
  const isState = typeof value?.repository === 'string' && Array.isArray(value.pieces);
  return isState && typeof value.touched === 'number' ? (value as UploadState) : undefined;
}
