import { parse, TomlError } from 'smol-toml';
import {
  type DocumentEntry,
  type DocumentNode,
  deepest,
  type Position,
  positions,
  type TableNode,
} from './document.ts';
import { checkLength, fileError, placeText } from './file-problems.ts';
import { type Outline, outlineToml } from './toml-outline.ts';

/**
 * Reads TOML 1.0 to its values and where they stand, tables in the file's order. `INVALID_CONFIG` with
 * `file:line:column` for a text that is no TOML, is nested deeper than 64 levels or longer than 4 Mi characters.
 */
export function parseToml(text: string, file: string): TableNode {
  checkLength(text, file);
  let value: unknown;
  try {
    value = parse(text, { maxDepth: deepest });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The message's other lines quote the file, which may hold secrets.
    const [message = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    throw fileError(file, [`${placeText(file, error)}: no TOML, ${message}`]);
  }
  const position = positions(text);
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
