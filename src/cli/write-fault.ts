const meanings: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such directory',
  ENOTDIR: 'what should be a directory is none',
  EACCES: 'not allowed',
  EPERM: 'not allowed',
  EROFS: 'the disk can only be read',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EFBIG: 'the file may not become so large',
};

/** Why the system does not write, in words. */
export const writeFault = ({ code, message }: NodeJS.ErrnoException): string => meanings[code ?? ''] ?? message;
