import { stripVTControlCharacters } from 'node:util';
import type { ClientEvent } from '../../index.ts';
import type { Given } from '../command.ts';
import { reportWarnings } from '../configuration.ts';
import { type Io, painter, writeLines } from '../io.ts';
import { createHostLines, eventLine, progressLines } from './lines.ts';
import { createScreen, sizeOf } from './screen.ts';
import { createTransfer, type Transfer } from './transfer.ts';

/** Shows a transfer on stderr while it runs. */
export interface Watcher {
  readonly transfer: Transfer;
  readonly onEvent: (event: ClientEvent) => void;
  readonly onWarning: (text: string) => void;
  /** Restores the terminal. */
  end(): void;
}

/** Milliseconds between two frames. */
const frameEvery = 100;

/**
 * On a terminal the progress of each content, redrawn ten times a second; elsewhere a line whenever the state of one
 * changes; nothing with `--quiet`, with `--json` or if `isShown` is false.
 */
export function watch(given: Given, io: Io, { isShown = true }: { readonly isShown?: boolean } = {}): Watcher {
  const transfer = createTransfer(() => performance.now());
  const onWarning = (text: string): void => reportWarnings([text], io);
  if (!isShown || given.flags.has('quiet') || given.flags.has('json')) {
    return { transfer, onEvent: transfer.take, onWarning, end: () => {} };
  }
  return canDrawOn(io) ? drawn(transfer, io) : logged(transfer, io);
}

/** Whether stderr is a terminal that understands control codes. */
export const canDrawOn = ({ stderr, environment }: Io): boolean => stderr.isTTY === true && environment.TERM !== 'dumb';

function logged(transfer: Transfer, io: Io): Watcher {
  const hostLine = createHostLines(transfer);
  return {
    transfer,
    onWarning: (text) => reportWarnings([text], io),
    onEvent: (event) => {
      transfer.take(event);
      const lines = [hostLine(event), eventLine(event, transfer)];
      writeLines(
        io.stderr,
        lines.filter((line) => line !== undefined),
      );
    },
    end: () => {},
  };
}

function drawn(transfer: Transfer, io: Io): Watcher {
  const { stderr } = io;
  const paint = painter(io, stderr);
  const screen = createScreen(stderr, (line) => stripVTControlCharacters(line).length);
  const ascii = isAscii(io);
  const hostLine = createHostLines(transfer);
  let last = '';
  const draw = (): void => {
    const { columns, rows } = sizeOf(stderr);
    const time = performance.now();
    const lines =
      transfer.items.size === 0
        ? [`resolving (${Math.floor((time - transfer.started) / 1000)} s)`]
        : progressLines(transfer, { columns, rows, time, paint, ascii });
    const frame = lines.join('\n');
    if (frame !== last) screen.draw(lines);
    last = frame;
  };
  const redraw = (): void => {
    last = '';
    draw();
  };
  const timer = setInterval(draw, frameEvery);
  stderr.on?.('resize', redraw);
  return {
    transfer,
    onWarning: (text) =>
      reportWarnings([text], {
        ...io,
        stderr: { isTTY: true, write: (line) => screen.print([String(line).trimEnd()]) },
      }),
    onEvent: (event) => {
      transfer.take(event);
      const line = hostLine(event);
      if (line !== undefined) screen.print([line]);
    },
    end: () => {
      clearInterval(timer);
      stderr.off?.('resize', redraw);
      screen.end();
    },
  };
}

/** Consoles that lack the other signs. On Windows only its newer terminals have them. */
const isAscii = ({ environment }: Io): boolean =>
  environment.TERM === 'linux' ||
  (process.platform === 'win32' && !environment.WT_SESSION && environment.TERM_PROGRAM !== 'vscode');
