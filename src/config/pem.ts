import { builtin } from '../runtime.ts';
import { quote } from '../text/quote.ts';

/** PEM text, or what was found where it should be. */
export type Pem = { readonly text: string } | { readonly found: string };

/** A PEM text as messages name it: by its file, if any. Anything but a path may be a key, and is not shown. */
export function pemName(textOrPath: string): string {
  if (isPem(textOrPath)) return 'its text';
  return isPath(textOrPath) ? `file ${quote(textOrPath)}` : 'a text that is not shown';
}

/** Whether a text can only be the path of a file: not PEM, also without its first and last line or encoded once more, as base64. */
export const isPath = (text: string): boolean =>
  !isPem(text) && !/[\r\n]/.test(text) && text.length <= longestPath && !isBase64(text);

/**
 * Long, without a dot, and not beginning with a slash; or below a directory if another tool took it for a file of that: then by
 * its first characters, `M` for DER and `LS0t` for PEM.
 */
function isBase64(text: string): boolean {
  const bare = text.replace(/\s|\\[rn]/g, '');
  return /^[\w+][\w+/-]{39,}={0,2}$/.test(bare) || /(?:^|[\\/])(?:M[A-P]|LS0t)[\w+/-]{38}/.test(bare);
}

/** PEM text as it is, or the text of the PEM file of that name. */
export function readPem(textOrPath: string): Pem {
  if (isPem(textOrPath)) return { text: textOrPath };
  if (!isPath(textOrPath)) return { found: 'not PEM' };
  const files = builtin('node:fs');
  if (!files) return { found: 'this runtime has no files' };
  try {
    const stat = files.statSync(textOrPath);
    // Reading a pipe or a device may never end.
    if (!stat.isFile() && !stat.isDirectory()) return { found: 'it is not a regular file' };
    if (stat.size > mostBytes) return { found: `it has ${stat.size} bytes, expected at most ${mostBytes}` };
    const text = files.readFileSync(textOrPath, 'utf8');
    return isPem(text) ? { text } : { found: 'not PEM' };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { found: words.get(code ?? '') ?? message };
  }
}

/** What is wrong with a PEM text, or with the file of that name, as far as reading it shows. */
export function pemProblem(textOrPath: string): string | undefined {
  if (!builtin('node:fs')) return undefined;
  const pem = readPem(textOrPath);
  return 'text' in pem ? undefined : `${pemName(textOrPath)}: ${pem.found}`;
}

/** The PEM texts and files of TLS settings, whatever else is wrong with them, each with its key path. */
export function pemsOf(tls: unknown): [path: PropertyKey[], textOrPath: string][] {
  if (typeof tls !== 'object' || tls === null) return [];
  const { ca, cert, key } = tls as Record<string, unknown>;
  const authorities = (Array.isArray(ca) ? ca : []).map((text, index) => [['ca', index], text] as const);
  return [...authorities, [['cert'], cert] as const, [['key'], key] as const].flatMap(([path, text]) =>
    typeof text === 'string' ? [[[...path], text]] : [],
  );
}

const isPem = (text: string): boolean => text.includes('-----BEGIN ');

/** 4 MiB: all authorities that are commonly trusted take a quarter of one. */
const mostBytes = 4 * 1024 * 1024;

/** Of most systems. */
const longestPath = 4096;

const words: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'no such file'],
  ['ENOTDIR', 'no such file'],
  ['ENAMETOOLONG', 'no such file'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EISDIR', 'it is a directory'],
  ['ELOOP', 'a loop of symbolic links'],
]);
