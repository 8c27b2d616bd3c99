/** A reference to something else. https://www.rfc-editor.org/rfc/rfc8288#section-3 */
export interface Link {
  /** As it was sent: absolute, or relative to the URL of the response. */
  readonly target: string;
  /** Names in lower case; of duplicates the first. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** The characters of a token. https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2 */
const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";

const linkPatterns = {
  separators: /[\s,;]*/y,
  // Servers leave the brackets out; then the target goes up to the next separator.
  target: /<([^<>]*)>|([^\s,;<>"]+)/y,
  parameter: new RegExp(
    `\\s*;[\\s;]*(${token})\\s*(?:=\\s*(?:"((?:[^"\\\\]|\\\\.)*)(?:"|$)|'([^',;"]*)'|([^\\s,;"]*)))?`,
    'y',
  ),
  // To the comma before the next link that is not inside brackets or quotes. Each part ends where the next begins, or at the
  // end of the field, so that the time is linear whatever is never closed.
  rest: /(?:[^,<"]|<[^<>]*>|"(?:[^"\\]|\\.?)*(?:"|$)|<)*/y,
};

/** Most links, and challenges, of one field; the rest is not read. */
const mostParts = 1_000;

/** The links of a `Link` field; several lines are one, joined by commas. Malformed parts are skipped. */
export function parseLinks(field: string): Link[] {
  const links: Link[] = [];
  const scanner = scan(field);
  for (;;) {
    scanner.take(linkPatterns.separators);
    if (scanner.at >= field.length || links.length === mostParts) return links;
    const match = scanner.take(linkPatterns.target);
    const parameters: Record<string, string> = Object.create(null);
    for (
      let found = match && scanner.take(linkPatterns.parameter);
      found;
      found = scanner.take(linkPatterns.parameter)
    ) {
      const [, name = '', quoted, single, bare = ''] = found;
      parameters[name.toLowerCase()] ??= quoted === undefined ? (single ?? bare) : unescaped(quoted);
    }
    if (match) links.push({ target: (match[1] ?? match[2] ?? '').trim(), parameters });
    const before = scanner.at;
    scanner.take(linkPatterns.rest);
    // What no pattern matches is skipped, one character at a time.
    if (!match && scanner.at === before) scanner.at += 1;
  }
}

/** The next page of a list: the first link with the relation `next`, among others or not. A link with its own context does not count. */
export function nextLink(field: string | undefined): string | undefined {
  const isNext = ({ parameters: { rel = '', anchor } }: Link): boolean =>
    anchor === undefined && rel.toLowerCase().split(/\s+/).includes('next');
  return field === undefined ? undefined : parseLinks(field).find(isNext)?.target;
}

/** The `Link` field of a list whose next page is at `target`, a URL or a path with its query. */
export const formatNext = (target: string): string => `<${target}>; rel="next"`;

/** One way to authenticate that a server offers. RFC 9110 section 11.6.1 */
export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** Names in lower case; of duplicates the first. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly token68?: string | undefined;
}

const challengePatterns = {
  separators: /[\s,]*/y,
  scheme: new RegExp(`(${token})(?=[ \\t]|,|$)`, 'y'),
  // A token68 stands alone before the next comma; anything else with "=" inside it is a parameter.
  token68: /[ \t]+([A-Za-z0-9._~+/-]+=*)[ \t]*(?=,|$)/y,
  // Unquoted values go up to the next comma or space: real servers leave URLs bare.
  parameter: new RegExp(`[ \\t]*(${token})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))[ \\t]*(?=,|$)`, 'y'),
  comma: /[ \t]*(?:,[ \t]*)+/y,
};

/**
 * The challenges of a WWW-Authenticate field; several lines are one, joined by commas. `malformed` is the rest from the
 * first error on, which is left out, as is what follows a thousand of them.
 */
export function parseChallenges(field: string): { challenges: Challenge[]; malformed?: string } {
  const challenges: Challenge[] = [];
  const scanner = scan(field);
  for (;;) {
    scanner.take(challengePatterns.separators);
    if (scanner.at === field.length) return { challenges };
    const isLast = challenges.length === mostParts;
    const scheme = isLast ? undefined : scanner.take(challengePatterns.scheme)?.[1]?.toLowerCase();
    if (scheme === undefined) return { challenges, malformed: field.slice(scanner.at) };
    const token68 = scanner.take(challengePatterns.token68)?.[1];
    const parameters = token68 === undefined ? takeParameters(scanner) : {};
    challenges.push({ scheme, parameters, ...(token68 !== undefined && { token68 }) });
  }
}

function takeParameters(scanner: FieldScanner): Record<string, string> {
  const parameters: Record<string, string> = Object.create(null);
  for (let count = 0; ; count += 1) {
    const before = scanner.at;
    if (count > 0 && !scanner.take(challengePatterns.comma)) return parameters;
    const match = scanner.take(challengePatterns.parameter);
    if (!match) {
      scanner.at = before;
      return parameters;
    }
    const [, name = '', quoted, bare = ''] = match;
    parameters[name.toLowerCase()] ??= quoted === undefined ? bare : unescaped(quoted);
  }
}

/** The texts of `Warning: 299 - "text"` fields: messages of a registry to its users. RFC 7234 section 5.5, distribution-spec "Warnings" */
export function parseWarnings(field: string | undefined): string[] {
  const texts = (field ?? '').slice(0, 4096).matchAll(/(?:^|,)\s*299\s+\S+\s+"((?:[^"\\]|\\.)*)"/g);
  return [...new Set(Array.from(texts, ([, text = '']) => unescaped(text)))];
}

/** Milliseconds of a Retry-After field: seconds or a date. RFC 9110 section 10.2.3 */
export function parseRetryAfter(field: string | undefined, now = Date.now()): number | undefined {
  if (field === undefined) return undefined;
  const text = field.trim();
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  // The oldest of the three forms has no zone: it is GMT, as all are.
  const date = /^[A-Za-z]{3}/.test(text) ? Date.parse(text.endsWith('GMT') ? text : `${text} GMT`) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Reads a header field from its start, by sticky patterns. */
interface FieldScanner {
  /** The position of the next character. May be set. */
  at: number;
  /** What the pattern matches here, which is then behind the position; undefined, without moving, if it does not match. */
  take(pattern: RegExp): RegExpExecArray | undefined;
}

function scan(field: string): FieldScanner {
  const scanner: FieldScanner = {
    at: 0,
    take: (pattern) => {
      pattern.lastIndex = scanner.at;
      const match = pattern.exec(field);
      if (match) scanner.at += match[0].length;
      return match ?? undefined;
    },
  };
  return scanner;
}

/** A quoted string without its quotes, its escapes resolved. */
const unescaped = (quoted: string): string => quoted.replace(/\\(.)/g, '$1');
