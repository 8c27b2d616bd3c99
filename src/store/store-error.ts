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
