import { RegistryError } from '../errors.ts';

/** A blob on its way in chunks. */
export interface Upload {
  readonly id: string;
  /** Which repository it was begun in; it exists in no other. */
  readonly key: string;
  readonly chunks: readonly Uint8Array[];
  /** Bytes in `chunks`. */
  readonly size: number;
}

export interface UploadSessions {
  /** Undefined where as many are open as may be. */
  open(key: string): Upload | undefined;
  find(id: string, key: string): Upload | undefined;
  /**
   * Runs `work` while the upload does not expire and nobody else works on it; undefined where somebody does. The chunks
   * that `work` gives are added in one piece.
   */
  use<Result>(upload: Upload, work: () => Promise<Result>): Promise<Result | undefined>;
  add(upload: Upload, chunks: readonly Uint8Array[], size: number): void;
  close(upload: Upload): void;
}

interface Session extends Upload {
  chunks: Uint8Array[];
  size: number;
  isBusy: boolean;
  expiry: ReturnType<typeof setTimeout> | undefined;
}

/** Uploads that are open: at most `limit`, each forgotten after `idle` milliseconds without a request. */
export function uploadSessions({ limit, idle }: { readonly limit: number; readonly idle: number }): UploadSessions {
  const sessions = new Map<string, Session>();

  const known = ({ id }: Upload): Session => {
    const session = sessions.get(id);
    if (!session) throw new RegistryError('NOT_FOUND', `No upload "${id}": it has ended`);
    return session;
  };
  const close = ({ id }: Upload): void => {
    clearTimeout(sessions.get(id)?.expiry);
    sessions.delete(id);
  };
  const rest = (session: Session): void => {
    clearTimeout(session.expiry);
    session.expiry = setTimeout(() => close(session), idle);
    // An upload that was given up must not keep the process alive.
    (session.expiry as { unref?: () => void }).unref?.();
  };

  return {
    open(key) {
      if (sessions.size >= limit) return undefined;
      const session: Session = { id: crypto.randomUUID(), key, chunks: [], size: 0, isBusy: false, expiry: undefined };
      sessions.set(session.id, session);
      rest(session);
      return session;
    },
    find(id, key) {
      const session = sessions.get(id);
      if (session?.key !== key) return undefined;
      if (!session.isBusy) rest(session);
      return session;
    },
    async use(upload, work) {
      const session = known(upload);
      if (session.isBusy) return undefined;
      session.isBusy = true;
      clearTimeout(session.expiry);
      try {
        return await work();
      } finally {
        session.isBusy = false;
        if (sessions.has(session.id)) rest(session);
      }
    },
    add(upload, chunks, size) {
      const session = known(upload);
      for (const chunk of chunks) session.chunks.push(chunk);
      session.size += size;
    },
    close,
  };
}
