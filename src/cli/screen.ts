import type { Sink } from './io.ts';

const control = '\u001b[';
const hideCursor = `${control}?25l`;
const showCursor = `${control}?25h`;
/** Lines that are too long are cut by the terminal, not wrapped, so that one line stays one row. */
const noWrap = `${control}?7l`;
const wrap = `${control}?7h`;
const clearLine = `${control}K`;
const clearBelow = `${control}J`;

/** The last rows of a terminal, drawn again and again. One write for each frame; the cursor is hidden until the end. */
export interface Screen {
  /** Replaces the frame. */
  draw(lines: readonly string[]): void;
  /** Writes lines that stay, above the frame. */
  print(lines: readonly string[]): void;
  /** Replaces the frame for the last time, and gives the cursor back. */
  end(lines?: readonly string[]): void;
}

/** Columns and rows of a terminal; those of most where it does not know its own, or says 0. */
export const sizeOf = ({ columns, rows }: Sink): { readonly columns: number; readonly rows: number } => ({
  columns: columns || 80,
  rows: rows || 24,
});

/** `widthOf` counts the columns that a line takes. */
export function createScreen(sink: Sink, widthOf: (line: string) => number): Screen {
  let frame: readonly string[] = [];
  let isOpen = false;
  /** Rows of the terminal when it was last written to, and those of the frame that a shorter one has scrolled away. */
  let height = 0;
  let away = 0;
  const restore = (): void => {
    if (isOpen) sink.write(`${wrap}${showCursor}`);
    isOpen = false;
  };
  const write = (above: readonly string[], lines: readonly string[]): void => {
    // A terminal that was made narrower has wrapped what was drawn when it was wider.
    const { columns, rows } = sizeOf(sink);
    const drawn = frame.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0);
    // One that was made taller shows again what it had scrolled away.
    const up = Math.min(drawn + Math.min(away, Math.max(0, rows - height)), rows - 1);
    // Lines that stay are between them and the frame.
    away = above.length > 0 ? 0 : drawn + away - up;
    height = rows;
    const back = up === 0 ? '\r' : `\r${control}${up}A`;
    // What is above may wrap: it is not drawn again.
    const stays = above.map((line) => `${line}${clearLine}\n`).join('');
    const text = lines.map((line) => `${line}${clearLine}\n`).join('');
    if (!isOpen) process.once('exit', restore);
    sink.write(`${isOpen ? '' : hideCursor}${back}${stays}${noWrap}${text}${clearBelow}${wrap}`);
    isOpen = true;
    frame = lines;
  };
  return {
    draw: (lines) => write([], lines),
    print: (lines) => write(lines, frame),
    end: (lines = []) => {
      if (isOpen || lines.length > 0) write([], lines);
      restore();
      process.off('exit', restore);
      frame = [];
    },
  };
}
