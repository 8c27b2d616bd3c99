import { escaped, redact } from '../redaction.ts';

const longest = 300;
/** Longer than any secret that is looked for. */
const seen = 2_048;

/**
 * A value as messages show it: in quotes, without secrets, control and format characters escaped, cut if longer than
 * `most`. User information is removed, as people paste URLs and `user:password@host` where a name is expected.
 */
export function quote(value: unknown, most = longest): string {
  if (typeof value !== 'string') return `"${shape(value)}"`;
  // Before it is cut, as half a secret would not be recognized.
  const text = redact(legible(value).slice(0, most + seen));
  return escaped(JSON.stringify(text.length > most ? `${text.slice(0, most)}…` : text));
}

/** A text without secrets: also without the user information of a URL in it, or of a text like one: `name:tag@digest` stays. */
export function legible(text: string): string {
  // Not by a pattern: its time would grow with the square of a text of many "://".
  const [start, end] = [text.indexOf('://'), text.lastIndexOf('@')];
  const shown = start !== -1 && end > start + 2 ? `${text.slice(0, start)}://***${text.slice(end)}` : text;
  return shown.replace(/^[^/@:]+:[^/@]*@(?!\w+:)/, '***@');
}

/** A key as messages show it: a file with a missing quote has keys that go on into what is beside them, which may be a secret. */
export function keyText(key: string): string {
  const [, begun = ''] = /^([^"{}\n]*)/.exec(key) ?? [];
  return begun === key ? key : `${begun}…`;
}

function shape(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return objectText(value);
  if (typeof value === 'function') return 'a function';
  return String(value);
}

/**
 * Whether an object has only what somebody wrote into it: no instance of a class, such as a promise or a Map, whose content
 * is not in its properties. In any realm.
 */
export function isPlain(value: object): boolean {
  let prototype: unknown = Object.getPrototypeOf(value);
  while (typeof prototype === 'object' && prototype !== null) {
    const next: unknown = Object.getPrototypeOf(prototype);
    if (next !== null && Object.hasOwn(prototype, 'constructor')) return false;
    prototype = next;
  }
  return !Array.isArray(value);
}

function objectText(value: object): string {
  if (isPlain(value)) return 'an object';
  if ('then' in value && typeof value.then === 'function') return 'a promise (write "await" before it)';
  const name: unknown = value.constructor?.name;
  return typeof name === 'string' && /^\w{1,64}$/.test(name) ? `an instance of ${name}` : 'an object of a class';
}

/** A value that is of the wrong kind, as messages show it: `the text "5"`, `the number 5`, `true`, `a list`. */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return `the text ${quote(value)}`;
  if (typeof value === 'number' || typeof value === 'bigint') return `the number ${value}`;
  if (value === null || value === undefined) return 'nothing';
  if (Object.prototype.toString.call(value) === '[object Date]') return 'a date';
  // Quotes are for texts.
  return quote(value).slice(1, -1);
}

/** A key that nobody knows, and the one that it was meant to be, or all that are known. */
export function unknownKey(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  const hint = near === undefined ? `expected one of ${known.join(', ')}` : `did you mean ${quote(near)}?`;
  return `unknown key ${quote(keyText(key))}, ${hint}`;
}

/** The word that a mistyped one was meant to be: a beginning of it, it and more, or few letters wrong, in any case. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const typed = word.slice(0, 64).toLowerCase();
  const [best] = candidates
    .map((candidate) => ({ candidate, wrong: distance(typed, candidate.toLowerCase()) }))
    .filter(({ candidate, wrong }) => wrong < typed.length && wrong <= Math.max(2, candidate.length / 3))
    .sort((a, b) => a.wrong - b.wrong);
  return best?.candidate;
}

function distance(typed: string, word: string): number {
  if (typed.length > 2 && word.startsWith(typed)) return 1;
  return word.length > 2 && typed.startsWith(word) ? Math.min(2, edits(typed, word)) : edits(typed, word);
}

/** How many letters to add, drop or change (Levenshtein). */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const change = (row[j] ?? 0) + (letter === b[j] ? 0 : 1);
      next.push(Math.min(change, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** A text in double quotes and in ASCII, as both TOML and YAML read it. */
export const asciiText = (text: string): string =>
  JSON.stringify(text).replace(
    /[^\x20-\x7e]/gu,
    (letter) => `\\U${(letter.codePointAt(0) ?? 0).toString(16).padStart(8, '0')}`,
  );
