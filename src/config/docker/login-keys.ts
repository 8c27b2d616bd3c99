import type { Login } from '../../login.ts';
import { credentialKeyProblem, normalizeKey } from '../registry-keys.ts';

/** Docker's name for Docker Hub, in its files and to credential helpers. */
export const hubServer = 'https://index.docker.io/v1/';

/**
 * The host[:port][/path] that a key of `auths` or `credHelpers` means, in its one spelling; else what is wrong
 * with it. The path of a URL is not one of repositories: `https://host/v1/`.
 */
export function parseLoginKey(key: string): { readonly key: string } | { readonly problem: string } {
  const rest = key.replace(/^https?:\/\//i, '').replace(/(?<!\/)\/+$/, '');
  const plain = /^https?:\/\//i.test(key) ? rest.replace(/\/.*/s, '') : rest;
  const problem = credentialKeyProblem(plain);
  return problem === undefined ? { key: normalizeKey(plain) } : { problem };
}

/** Logins that Docker keeps for its own use: of its web pages and for renewing. */
export const isDockersOwn = (key: string): boolean =>
  /^https:\/\/index\.docker\.io\/v1\/(?:access|refresh)-token\/?$/i.test(key);

/** User name and password in the one text that Docker writes them as; undefined for any other text. */
export function decodeAuth(text: string): Login | undefined {
  const base64 = text.replace(/[\r\n]/g, '');
  if (base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return undefined;
  let decoded: string;
  try {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    decoded = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
  const colon = decoded.indexOf(':');
  if (colon < 1) return undefined;
  // Old versions filled the text up with zeros.
  return { username: decoded.slice(0, colon), password: trimZeros(decoded.slice(colon + 1)) };
}

function trimZeros(text: string): string {
  let start = 0;
  let end = text.length;
  while (text[start] === '\0') start++;
  while (end > start && text[end - 1] === '\0') end--;
  return text.slice(start, end);
}
