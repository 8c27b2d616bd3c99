import { parse, TomlError } from 'smol-toml';
import { deepest } from './document.ts';
import { outlineToml, type Repeat } from './toml-outline.ts';

/** What is wrong with a text that should be TOML. */
export interface TomlFault {
  readonly offset: number;
  readonly words: string;
  /** Of a key that comes again, which leaves the rest legible. */
  readonly repeat?: Repeat;
}

/** Faults that are looked for; more of them tell no more. */
const mostFaults = 20;

/**
 * The values of a TOML text and what is wrong with it. A fault is blanked, and the rest read again: a key or table that
 * comes again, or a line that is no TOML by itself. `value` is of what is left, undefined where that is no
 * TOML yet; `text` is that, at the same offsets.
 */
export function readToml(written: string): { text: string; value: unknown; faults: readonly TomlFault[] } {
  const faults: TomlFault[] = [];
  const lines = new Set<number>();
  let text = written;
  for (;;) {
    try {
      return { text, value: parse(text, { maxDepth: deepest }), faults };
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      const fault = faultOf(error, text);
      // Of one line the first fault is told; what comes after may be of its making.
      if (lines.has(error.line)) return { text, value: undefined, faults };
      lines.add(error.line);
      faults.push(fault);
      const rest = withoutFault(text, fault);
      if (rest === undefined || faults.length >= mostFaults) return { text, value: undefined, faults };
      text = rest;
    }
  }
}

function faultOf(error: TomlError, text: string): TomlFault {
  const offset = lineStart(text, error.line) + error.column - 1;
  if (/redefine/.test(error.message)) {
    const { repeat } = outlineToml(text);
    const isIt = repeat && lineEnd(text, repeat.offset) === lineEnd(text, offset);
    // Where it ends cannot be told of a value that is no TOML either.
    if (isIt && (repeat.isTable || isTomlAlone(text.slice(repeat.offset, repeat.end))))
      return { offset: repeat.offset, words: '', repeat };
  }
  // The message's other lines quote the file, which may hold secrets.
  const [message = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
  return { offset, words: wordsOf(message, text[offset]) };
}

function wordsOf(message: string, letter: string | undefined): string {
  const isOpen = message === 'unfinished string';
  if (isOpen || (/^control characters/.test(message) && /^[\r\n]?$/.test(letter ?? '')))
    return `found a text that does not end${isOpen ? '' : ' in its line'}, expected its closing quotation mark`;
  return message === 'illegal character in key' ? `${message}, expected quotes around it, or "=" behind it` : message;
}

/** The text with spaces in place of a fault; undefined where the rest cannot be told from it. */
function withoutFault(text: string, { offset, repeat }: TomlFault): string | undefined {
  if (repeat) {
    const next = /^[ \t]*\[/gm;
    next.lastIndex = lineEnd(text, repeat.end);
    const end = repeat.isTable ? (next.exec(text)?.index ?? text.length) : repeat.end;
    return blanked(text, repeat.isTable ? lineBefore(text, offset) : offset, end);
  }
  const [start, end] = [lineBefore(text, offset), lineEnd(text, offset)];
  return isTomlAlone(text.slice(start, end)) ? undefined : blanked(text, start, end);
}

function isTomlAlone(line: string): boolean {
  try {
    parse(line, { maxDepth: deepest });
    return true;
  } catch {
    return false;
  }
}

const blanked = (text: string, start: number, end: number): string =>
  text.slice(0, start) + text.slice(start, end).replace(/[^\r\n]/g, ' ') + text.slice(end);

function lineStart(text: string, line: number): number {
  let start = 0;
  for (let before = 1; before < line; before++) start = text.indexOf('\n', start) + 1;
  return start;
}

const lineBefore = (text: string, offset: number): number => text.lastIndexOf('\n', offset - 1) + 1;

function lineEnd(text: string, offset: number): number {
  const end = text.indexOf('\n', offset);
  return end === -1 ? text.length : end;
}
