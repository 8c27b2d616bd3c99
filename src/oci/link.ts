import { scan, token, unescaped } from './scan.ts';

/** A reference to something else. https://www.rfc-editor.org/rfc/rfc8288#section-3 */
export interface Link {
  /** As it was sent: absolute, or relative to the URL that answered. */
  readonly target: string;
  /** Names in lower case; of those that come twice the first. */
  readonly parameters: Readonly<Record<string, string>>;
}

const patterns = {
  separators: /[\s,;]*/y,
  // Servers leave the brackets out; then the target goes up to the next separator.
  target: /<([^>]*)>|([^\s,;<>"]+)/y,
  parameter: new RegExp(
    `\\s*;[\\s;]*(${token})\\s*(?:=\\s*(?:"((?:[^"\\\\]|\\\\.)*)(?:"|$)|'([^',;"]*)'|([^\\s,;"]*)))?`,
    'y',
  ),
  // To the comma before the next link: not one inside brackets or quotes. A bracket or quote never closed is no bracket.
  rest: /(?:[^,<"]|<[^>]*>|"(?:[^"\\]|\\.)*"|[<"])*/y,
};

/** The links of a `Link` field; several lines are one, joined by commas. What is malformed is passed over. */
export function parseLinks(field: string): Link[] {
  const links: Link[] = [];
  const scanner = scan(field);
  for (;;) {
    scanner.take(patterns.separators);
    if (scanner.at >= field.length) return links;
    const match = scanner.take(patterns.target);
    const parameters: Record<string, string> = Object.create(null);
    for (let found = match && scanner.take(patterns.parameter); found; found = scanner.take(patterns.parameter)) {
      const [, name = '', quoted, single, bare = ''] = found;
      parameters[name.toLowerCase()] ??= quoted === undefined ? (single ?? bare) : unescaped(quoted);
    }
    if (match) links.push({ target: (match[1] ?? match[2] ?? '').trim(), parameters });
    const before = scanner.at;
    scanner.take(patterns.rest);
    // What no pattern takes is passed over, one character at a time.
    if (!match && scanner.at === before) scanner.at += 1;
  }
}

/** Where the list goes on: the first link whose relation, of one or several, is `next`. One with a context of its own is none. */
export function nextLink(field: string | undefined): string | undefined {
  const isNext = ({ parameters: { rel = '', anchor } }: Link): boolean =>
    anchor === undefined && rel.toLowerCase().split(/\s+/).includes('next');
  return field === undefined ? undefined : parseLinks(field).find(isNext)?.target;
}

/** The `Link` field of a list that goes on at `target`, a URL or a path with its query. */
export const formatNext = (target: string): string => `<${target}>; rel="next"`;
