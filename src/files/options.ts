/** How to look into a layer. */
export interface FilesOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Reads the layer itself where it has a table of contents, too (eStargz, zstd:chunked). The table is what lazily pulling
   * runtimes believe, the layer what all others unpack; only its author can make them differ.
   */
  readonly unindexed?: boolean | undefined;
  /** Called with why a table of contents is not used. The layer is read instead. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

/** How to open a file of a layer. */
export interface OpenFileOptions extends FilesOptions {
  /**
   * Reads on to the end of the layer after the file's last byte, so that the digest is known to be right: otherwise the end
   * is `DIGEST_MISMATCH`, or `BAD_RESPONSE` where the path came again, which only then can be seen. Where a table of
   * contents has the file's checksum, that is enough.
   */
  readonly verify?: boolean | undefined;
}
