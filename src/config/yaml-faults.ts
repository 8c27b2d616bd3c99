import { byPosition, type Position } from './document.ts';

/** What the parser found. */
interface Fault {
  readonly pos: readonly [number, number];
  readonly code: string;
  readonly message: string;
}

const badAlias = 'BAD_ALIAS';

/** What is no YAML, in the file's order. A `*` without quotes makes other faults in its line, which are not told. */
export function yamlFaults(
  faults: readonly Fault[],
  position: (offset: number) => Position,
): { readonly at: Position; readonly words: string }[] {
  const found = faults.map(({ pos, code, message }) => ({ at: position(pos[0]), code, words: wordsOf(code, message) }));
  const stars = new Set(found.filter(({ code }) => code === badAlias).map(({ at }) => at.line));
  return found
    .filter(({ at, code }) => code === badAlias || !stars.has(at.line))
    .sort((a, b) => byPosition(a.at, b.at));
}

/** Without what a message quotes of the file, which may be secret. */
function wordsOf(code: string, message: string): string {
  if (code === badAlias) return 'no YAML, found an alias, expected quotes around what begins with "*"';
  return `no YAML, ${message.replace(/(?:: |(?<=escape sequence) ).*$/s, '')}`;
}
