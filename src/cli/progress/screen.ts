import type { Sink } from '../io.ts';

const control = '\u001b[';
const hideCursor = `${control}?25l`;
const showCursor = `${control}?25h`;
/** The terminal cuts long lines then instead of wrapping them, so that one line is one row. */
const noWrap = `${control}?7l`;
const wrap = `${control}?7h`;
const clearLine = `${control}K`;
const clearBelow = `${control}J`;

/** The last rows of a terminal, redrawn in place. One write for each frame; the cursor is hidden until the end. */
export interface Screen {
  /** Replaces the frame. */
  draw(lines: readonly string[]): void;
  /** Writes lines that stay, above the frame. */
  print(lines: readonly string[]): void;
  /** Replaces the frame for the last time, and shows the cursor again. */
  end(lines?: readonly string[]): void;
}

/** Columns and rows of a terminal; 80 and 24 if it does not know its own, or reports 0. */
export const sizeOf = ({ columns, rows }: Sink): { readonly columns: number; readonly rows: number } => ({
  columns: columns || 80,
  rows: rows || 24,
});

/** `widthOf` counts the columns that a line takes. */
export function createScreen(sink: Sink, widthOf: (line: string) => number): Screen {
  let frame: readonly string[] = [];
  let isOpen = false;
  /** Rows of the terminal at the last write, and rows of the frame that scrolled away when it was made shorter. */
  let height = 0;
  let away = 0;
  const restore = (): void => {
    if (isOpen) sink.write(`${wrap}${showCursor}`);
    isOpen = false;
  };
  const write = (above: readonly string[], lines: readonly string[]): void => {
    // A terminal that was made narrower has wrapped the lines of the last frame.
    const { columns, rows } = sizeOf(sink);
    const drawn = frame.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0);
    // One that was made taller shows again what had scrolled away.
    const up = Math.min(drawn + Math.min(away, Math.max(0, rows - height)), rows - 1);
    // Lines that stay now separate those rows from the frame.
    away = above.length > 0 ? 0 : drawn + away - up;
    height = rows;
    const back = up === 0 ? '\r' : `\r${control}${up}A`;
    // These may wrap, as they are never redrawn.
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
