import {
  byPosition,
  type DocumentEntry,
  type DocumentNode,
  deepest,
  keyAgain,
  type Position,
  positions,
  type TableNode,
  type TellFault,
} from './document.ts';
import { checkLength, fileError, placeText } from './file-problems.ts';
import { readToml } from './toml-faults.ts';
import { type Outline, outlineToml } from './toml-outline.ts';

/**
 * Reads TOML 1.0 to its values and where they stand, tables in the file's order. `INVALID_CONFIG` with
 * `file:line:column` for a text that is no TOML, is nested deeper than 64 levels or longer than 4 Mi characters. A key
 * that comes again is told to `tell`, where there is one, and the first counts.
 */
export function parseToml(written: string, file: string, tell?: TellFault): TableNode {
  checkLength(written, file);
  const { text, value, faults } = readToml(written);
  const position = positions(written);
  const isLegible = value !== undefined && faults.every(({ repeat }) => repeat);
  const problems = faults.map(({ offset, words, repeat }) => {
    const at = position(offset);
    const told = repeat ? keyAgain(repeat.key, position(repeat.first)) : `no TOML, ${words}`;
    if (repeat && isLegible) tell?.(at, told);
    return { at, line: `${placeText(file, at)}: ${told}` };
  });
  if (problems.length > 0 && !(tell && isLegible)) {
    const sorted = problems.sort((a, b) => byPosition(a.at, b.at));
    throw fileError(
      file,
      sorted.map(({ line }) => line),
    );
  }
  const outline = outlineToml(text);
  if (outline.tooDeep !== undefined) {
    const place = placeText(file, position(outline.tooDeep));
    throw fileError(file, [`${place}: found more than ${deepest} levels, expected fewer`]);
  }
  return tableOf(outline.root, value, position);
}

function nodeOf(outline: Outline, value: unknown, position: (offset: number) => Position): DocumentNode {
  const at = position(outline.offset);
  if (outline.kind === 'table') return tableOf(outline, value, position);
  if (outline.kind === 'scalar' || !Array.isArray(value)) return { kind: 'scalar', at, value };
  return { kind: 'list', at, items: outline.items.map((item, index) => nodeOf(item, value[index], position)) };
}

function tableOf(outline: Outline, value: unknown, position: (offset: number) => Position): TableNode {
  const entries = new Map<string, DocumentEntry>();
  for (const [key, entry] of outline.entries) {
    const inner = (value as Record<string, unknown>)[key];
    entries.set(key, { at: position(entry.keyOffset), value: nodeOf(entry, inner, position) });
  }
  return { kind: 'table', at: position(outline.offset), entries };
}
