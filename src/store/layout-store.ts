import type { CallOptions, Keeper, Lister, Referrers, ResumableStore, Sessions } from '../source.ts';
import type { GarbageOptions, LayoutGarbage } from './garbage.ts';
import type { LayoutReport, VerifyOptions } from './verify.ts';

/** A directory that is an OCI image layout. Errors of the file system are `STORE_ERROR`. */
export interface LayoutStore extends ResumableStore, Keeper, Lister, Referrers, Sessions {
  readonly name: string;
  /** Absolute. */
  readonly directory: string;
  /** Takes a name away, with what `index.json` says under it. `NOT_FOUND` where there is no such name. */
  untag(name: string, options?: CallOptions): Promise<void>;
  /**
   * Reads all content again and compares it with its digests, and with the sizes that manifests and `index.json` say;
   * looks whether what `index.json` names is here as a whole. Changes nothing. `STORE_ERROR` where there is no layout, or
   * one that has lost its `index.json`.
   */
  verify(options?: VerifyOptions): Promise<LayoutReport>;
  /**
   * Removes content that no entry of `index.json` reaches, and what broke off. Nothing is removed where a document cannot
   * be read (`BAD_RESPONSE`); where there is no layout, where `index.json` or a manifest is missing that would tell what
   * is needed, or while somebody writes into it, from `begin` to its end or in one push (`STORE_ERROR`).
   */
  gc(options?: GarbageOptions): Promise<LayoutGarbage>;
}
