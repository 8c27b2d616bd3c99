import { remember } from './bounded-map.ts';
import type { Login } from './login.ts';

/** What is shown in place of a secret. */
export const redacted = '***';

/** Characters of a secret that count: what messages quote is shorter. */
const longest = 512;
/** A token of `wholeLength` is recognized by its beginning, as servers cut what they repeat. */
const wholeLength = 24;
const headLength = 16;

/** The secrets in use in this process, by their text, each in every form in which it may be repeated. Bounded. */
const secrets = new Map<string, readonly string[]>();

/** Their forms by their first characters; also those of forgotten ones, until as many were added. */
const byStart = new Map<string, Set<string>>();
const startLength = 6;
let added = 0;
const mostAdded = 1_000;

/**
 * Remembers a secret that was configured, sent or received: from now on no error, event or plan shows it. One that is too short
 * or an ordinary word is not: hiding it in a text that is known would tell what it is.
 */
export function keepSecret(secret: string): void {
  if (secret.length < startLength || /^[a-z]{1,8}$/.test(secret)) return;
  const text = secret.slice(0, longest);
  const known = secrets.get(text);
  const forms = known ?? formsOf(text);
  remember(secrets, text, forms);
  if (known) return;
  added += 1;
  if (added <= mostAdded) index(forms);
  else {
    added = 0;
    byStart.clear();
    for (const each of secrets.values()) index(each);
  }
}

/** Forgets all secrets, as tests of one process must not hide each other's words. */
export function forgetSecrets(): void {
  secrets.clear();
  byStart.clear();
  added = 0;
}

function index(forms: readonly string[]): void {
  for (const form of forms) {
    const start = form.slice(0, startLength);
    byStart.set(start, (byStart.get(start) ?? new Set()).add(form));
  }
}

export function keepLogin(login: Login): void {
  if ('identityToken' in login) keepSecret(login.identityToken);
  else if ('registryToken' in login) keepSecret(login.registryToken);
  else {
    keepSecret(login.password === '' ? login.username : login.password);
    keepSecret(`${login.username}:${login.password}`);
  }
}

/** A PEM key, each of its lines; or the base64 of one, with whatever is around it. */
export function keepKey(text: string): void {
  const lines = text.includes('-----')
    ? text.matchAll(/^[\w+/]{24,}/gm)
    : text.matchAll(/(?:M[A-P]|LS0t)[\w+/-]{24,}/g);
  for (const [line] of lines) keepSecret(line);
}

/** The value of a configured header: also without its scheme, and the login of `Basic`. */
export function keepHeader(name: string, value: string): void {
  // They name types and languages, as messages do.
  if (/^(?:accept|content-type|user-agent)/i.test(name)) return;
  keepSecret(value);
  const [, scheme = '', credentials] = /^(\S+) +(\S+)$/.exec(value) ?? [];
  if (credentials === undefined) return;
  keepSecret(credentials);
  const pair = /^basic$/i.test(scheme) ? decodeBase64(credentials) : undefined;
  const colon = pair?.indexOf(':') ?? -1;
  if (pair !== undefined && colon !== -1)
    keepLogin({ username: pair.slice(0, colon), password: pair.slice(colon + 1) });
}

/** Parameters of our own requests, and of the specifications. */
const open = new Set(['ns', 'n', 'last', 'digest', 'artifactType', 'service', 'scope', 'account', 'client_id']);

/** The user information of a URL, and the values of its query, as it may be signed, unless its host or path shows them. */
export function keepUrl(url: URL): void {
  if (url.username !== '' || url.password !== '') {
    keepLogin({ username: decoded(url.username), password: decoded(url.password) });
  }
  for (const [name, value] of url.searchParams) {
    const text = value === '' ? name : value;
    const isNamed = /sig|token|key|cred|auth|hmac|pass|secret|policy|session/i.test(name);
    if (open.has(name) || text.length < (isNamed ? 6 : 16) || url.href.split('?')[0]?.includes(text)) continue;
    if (
      isNamed ||
      !/^(?:(?:application|text|image|repository)[/:]|(?:sha\d+:)?[\da-f]{64,128}$|[\dTZ:.-]+$|.* )/.test(text)
    ) {
      keepSecret(text);
    }
  }
}

/** A text without the secrets in use. The time grows with its length, and not with the number of secrets. */
export function redact(text: string): string {
  if (byStart.size === 0) return text;
  let shown = '';
  let last = 0;
  let isHidden = false;
  for (let at = 0; at + startLength <= text.length; at += 1) {
    const end = endOfForm(text, at);
    if (end === undefined) continue;
    if (!isHidden || at > last) shown += text.slice(last, at) + redacted;
    isHidden = true;
    last = Math.max(last, end);
  }
  return isHidden ? shown + text.slice(last) : text;
}

/** What a form is recognized by: all of it, or the beginning of what looks like a token. */
const headOf = (form: string): string => {
  const head = form.slice(0, headLength);
  return form.length >= wholeLength && /^[\w+~-]*$/.test(head) && /\d|[a-z][A-Z]/.test(head) ? head : form;
};

/** Where the longest form of a secret that begins at `at` ends, if one does. */
function endOfForm(text: string, at: number): number | undefined {
  const forms = byStart.get(text.slice(at, at + startLength));
  if (!forms) return undefined;
  let longestEnd: number | undefined;
  for (const form of forms) {
    const head = headOf(form);
    if (!text.startsWith(head, at)) continue;
    let end = at + head.length;
    while (end - at < form.length && text[end] === form[end - at]) end += 1;
    longestEnd = Math.max(longestEnd ?? 0, end);
  }
  return longestEnd;
}

/**
 * What a program says that knows secrets of its own, which nobody can look for: plain words, short numbers, and `known` ones. All else may be
 * a secret.
 */
export const plainWords = (text: string, known: readonly string[] = []): string =>
  text.replace(/[^\s"'`()[\]]+/g, (word) => {
    let end = word.length;
    while (end > 0 && '.,:;!?'.includes(word.charAt(end - 1))) end -= 1;
    const bare = word.slice(0, end);
    const isPlain = known.includes(bare) || /^(?:[A-Z]?[a-z]{1,16}|[A-Z]{2,4}|\d{1,3}|)$/.test(bare);
    return (isPlain ? bare : redacted) + word.slice(end);
  });

/** Control and format characters, with which a text from outside could act on a terminal, or forge a line or an order. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A text on one line, of characters that a terminal only shows. */
export const oneLine = (text: string): string => text.replace(unprintable, ' ');

/** As `oneLine`, with escapes as in JSON, so that nothing is lost. */
export const escaped = (text: string): string =>
  text.replace(unprintable, (character) =>
    [...Array(character.length).keys()]
      .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
      .join(''),
  );

/** A text from outside as errors and events have it: one line, no secrets. */
export const safeText = (text: string): string => oneLine(redact(text));

const safe = new WeakSet<object>();

/** A record with all its texts safe; the same one if they are already. */
export function safeRecord<T>(value: T): T {
  if (typeof value === 'string') return safeText(value) as T;
  if (typeof value !== 'object' || value === null || safe.has(value)) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, inner, safeRecord(inner)] as const);
  const isSame = entries.every(([, before, after]) => before === after);
  const made = isSame
    ? value
    : Array.isArray(value)
      ? entries.map(([, , after]) => after)
      : Object.fromEntries(entries.map(([key, , after]) => [key, after]));
  safe.add(made as object);
  return made as T;
}

function formsOf(secret: string): readonly string[] {
  const form = new URLSearchParams([['', secret]]).toString().slice(1);
  const percent = form.replaceAll('+', '%20');
  const lower = percent.replace(/%[\dA-F]{2}/g, (code) => code.toLowerCase());
  const bytes = String.fromCharCode(...new TextEncoder().encode(secret));
  const inBase64 = [0, 1, 2].map((before) => partOfBase64(bytes, before)).filter((text) => text.length >= 8);
  const inUrls = inBase64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  return [...new Set([secret, JSON.stringify(secret).slice(1, -1), form, percent, lower, ...inBase64, ...inUrls])];
}

/** What is in base64 of bytes that stand after so many others, modulo 3, whatever comes after them. */
function partOfBase64(bytes: string, before: number): string {
  const [whole = ''] = btoa('\0'.repeat(before) + bytes).split('=');
  return whole.slice([0, 2, 3][before], (before + bytes.length) % 3 === 0 ? undefined : -1);
}

function decodeBase64(text: string): string | undefined {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)));
  } catch {
    return undefined;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
