import { cannot, type ErrorReason, isError, messageOf, RegistryError } from '../errors.ts';
import { quote } from '../text/quote.ts';

/** What the codes of the system mean, and what can be done. https://nodejs.org/api/errors.html#common-system-errors */
const meanings: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file is larger than this process or file system allows',
  EROFS: 'the file system is read-only',
  EACCES: 'no permission',
  EPERM: 'no permission',
  EMFILE: 'too many open files in this process (raise "ulimit -n" or copy fewer at a time)',
  ENFILE: 'too many open files in the whole system',
  ENOENT: 'no such file or directory',
  ENOTDIR: 'a part of the path is not a directory',
  EISDIR: 'it is a directory',
  EEXIST: 'something else is already there',
  ELOOP: 'its symbolic links form a loop',
  ENAMETOOLONG: 'the path is too long',
  ENXIO: 'it is a socket or a device, not a file',
  EIO: 'the disk failed to read or write',
  ESTALE: 'the network file system no longer has it',
};

/** The code that the system gave an error, `ENOSPC`; undefined if it gave none. */
export const systemCode = (error: unknown): string | undefined =>
  isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** A failure of the file system as `STORE_ERROR`: what was done to which path, and what the system found. */
export function fileSystemError(attempted: string, path: string, error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const code = systemCode(error);
  const isLost = isError(error) && 'syscall' in error && error.syscall === 'uv_cwd';
  const meaning = isLost ? 'the current directory no longer exists' : meanings[code ?? ''];
  const found = meaning === undefined ? messageOf(error) : `${meaning} (${code})`;
  return cannot('STORE_ERROR', `${attempted} ${quote(path)}`, found, { value: path, cause: error });
}

/** A problem with a path that no call of the system reported. */
export const storeError = (attempted: string, path: string, found: string, reason?: ErrorReason): RegistryError =>
  cannot('STORE_ERROR', `${attempted} ${quote(path)}`, found, { value: path, reason });

/** A folder that may lead elsewhere. */
export const linkedFolder = (folder: string): RegistryError =>
  storeError('use folder', folder, 'it is a symbolic link, and is not followed');

/** What an error found, without what was attempted. */
export const foundBy = (error: unknown): string =>
  (error instanceof RegistryError ? error.found : undefined) ?? messageOf(error);

/** There is no upload of this name, or no longer. */
export const missingUpload = (id: string): RegistryError =>
  cannot('NOT_FOUND', `continue upload "${id}"`, 'there is none, or it has ended', { value: id });

/** One call at a time works on an upload. */
export const uploadInUse = (id: string): RegistryError =>
  cannot('STORE_ERROR', `add to upload "${id}"`, 'another request is adding to it', {
    value: id,
    reason: 'upload-in-use',
  });

/** As many uploads are open as may be. */
export const tooManyUploads = (open: number, most: number): RegistryError =>
  cannot('RATE_LIMITED', 'begin an upload', `${open} uploads are open, at most ${most}`, {
    reason: 'limit',
    limit: 'uploads',
  });

/** What a request adds to an upload, and what there may be. */
export interface UploadCount {
  /** Bytes of the upload before, and of the request so far. */
  readonly before: number;
  readonly added: number;
  /** Most bytes of the upload, and how many the request must have. */
  readonly uploadBytes?: number | undefined;
  readonly size?: number | undefined;
}

/** An upload, or a request that adds to it, has more bytes than it may. */
export function tooLong(
  id: string,
  { before, added, uploadBytes = Number.POSITIVE_INFINITY, size = Number.POSITIVE_INFINITY }: UploadCount,
): RegistryError | undefined {
  const attempted = `add to upload "${id}"`;
  if (before + added > uploadBytes) {
    const details = { value: id, reason: 'limit', limit: 'uploadBytes' } as const;
    return cannot('TOO_LARGE', attempted, `more than ${uploadBytes} bytes`, details);
  }
  return added > size ? cannot('TOO_LARGE', attempted, `more than ${size} bytes`, { value: id }) : undefined;
}

/** A request has ended with fewer bytes than it must have. */
export const tooShort = (id: string, { added, size = 0 }: UploadCount): RegistryError | undefined =>
  added < size
    ? cannot('UNEXPECTED_END', `add to upload "${id}"`, `${added} of ${size} bytes`, { value: id })
    : undefined;
