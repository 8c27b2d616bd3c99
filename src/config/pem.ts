import { quote } from '../oci/quote.ts';
import { builtin } from '../runtime.ts';

/** PEM text, or what was found where it should be. */
export type Pem = { readonly text: string } | { readonly found: string };

/** A PEM text as messages name it: by its file, where it is in one. What is no path may be a key, and is not shown. */
export function pemName(textOrPath: string): string {
  if (isPem(textOrPath)) return 'its text';
  return /[\r\n]/.test(textOrPath) || textOrPath.length > longestPath
    ? 'a text that is not shown'
    : `file ${quote(textOrPath)}`;
}

/** PEM text as it is, or the text of the PEM file of that name. */
export function readPem(textOrPath: string): Pem {
  if (isPem(textOrPath)) return { text: textOrPath };
  if (/[\r\n]/.test(textOrPath)) return { found: 'not PEM' };
  const files = builtin('node:fs');
  if (!files) return { found: 'this runtime has no files' };
  try {
    const text = files.readFileSync(textOrPath, 'utf8');
    return isPem(text) ? { text } : { found: 'not PEM' };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { found: words.get(code ?? '') ?? message };
  }
}

const isPem = (text: string): boolean => text.includes('-----BEGIN ');

/** Of most systems. */
const longestPath = 4096;

const words: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'no such file'],
  ['ENOTDIR', 'no such file'],
  ['ENAMETOOLONG', 'no such file'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EISDIR', 'it is a directory'],
  ['ELOOP', 'links that lead nowhere'],
]);
