import type { Digest } from '../oci/digest.ts';

/** A content that is not as it should be. */
export interface WrongContent {
  /** Undefined where it is `index.json`. */
  readonly digest: Digest | undefined;
  /**
   * Absolute path of its file. Where `found` is a digest, or says that no file can be read: nothing puts other bytes at a
   * name that is taken, so remove it, and the next pull brings it again. A document that is wrong itself comes again as it is: take its name away. A
   * size in `index.json` is mended by the next pull or `tag` of what it is of.
   */
  readonly path: string;
  /**
   * The digest of what is there, or what is wrong with the document: `"sha256:…" has 90 bytes where sha256:… says 95`,
   * where a manifest, an index or `index.json` says another size than a content has whose digest is right.
   */
  readonly found: string;
}

/** A content that something names and that is not here. */
export interface MissingContent {
  readonly digest: Digest;
  readonly size: number;
  /** Digest of the manifest or index that names it, or `index.json`. */
  readonly neededBy: string;
}

/** What `verify` found. The layout is sound where `wrong` and `missing` are empty. */
export interface LayoutReport {
  /** Contents that were read, and their bytes. */
  readonly checked: number;
  readonly bytes: number;
  readonly wrong: readonly WrongContent[];
  readonly missing: readonly MissingContent[];
  /** Images of an index of which another image is here as a whole, and layers that may not be handed on. */
  readonly notCopied: readonly MissingContent[];
  /** Files that are no content: left by other programs in `blobs`. */
  readonly strangers: readonly string[];
  /** Downloads that broke off, or are under way. */
  readonly partials: number;
}

/** How to verify. */
export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each content, with the sums so far. */
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
}

/** How far a `verify` is. */
export interface VerifyProgress {
  readonly digest: Digest;
  readonly checked: number;
  readonly contents: number;
  readonly bytes: number;
}
