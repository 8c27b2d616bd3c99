// What is used of tar-stream 3.1.7, which has no types: those of DefinitelyTyped lack `pax` and `offset`.
declare module 'tar-stream' {
  interface Header {
    readonly name: string;
    readonly size: number;
    readonly mode: number;
    readonly uid: number;
    readonly gid: number;
    readonly mtime: Date;
    /** Null for a type that tar-stream does not know. */
    readonly type: string | null;
    readonly linkname: string | null;
    readonly uname: string;
    readonly gname: string;
    readonly devmajor: number;
    readonly devminor: number;
    /** Records of the extended headers; `path`, `linkpath` and `size` are already applied. */
    readonly pax: Readonly<Record<string, string>> | null;
  }

  interface EntryStream {
    /** Bytes of the archive before the header. */
    readonly offset: number;
    read(): Uint8Array | null;
    on(event: 'readable', listener: () => void): unknown;
    on(event: 'error', listener: (error: Error) => void): unknown;
  }

  interface ExtractEvents {
    readonly entry: readonly [header: Header, stream: EntryStream, next: () => void];
  }

  interface Extract {
    write(bytes: Uint8Array): boolean;
    end(bytes: null): void;
    destroy(): void;
    on(event: 'entry', listener: (...entry: ExtractEvents['entry']) => void): unknown;
    on(event: 'drain' | 'close', listener: () => void): unknown;
    on(event: 'error', listener: (error: Error) => void): unknown;
  }

  function extract(options: { readonly allowUnknownFormat?: boolean; readonly highWaterMark?: number }): Extract;
}
