import { stripVTControlCharacters } from 'node:util';
import type { ClientEvent } from '../index.ts';
import type { Given } from './command.ts';
import { tellWarnings } from './configuration.ts';
import { createHostLines, eventLine } from './event-lines.ts';
import { type Io, painter, writeLines } from './io.ts';
import { progressLines } from './progress-lines.ts';
import { createScreen, sizeOf } from './screen.ts';
import { createTransfer, type Transfer } from './transfer.ts';

/** What is shown of a transfer while it runs, on stderr. */
export interface Watcher {
  readonly transfer: Transfer;
  readonly onEvent: (event: ClientEvent) => void;
  readonly onWarning: (text: string) => void;
  /** Leaves the terminal as it was. */
  end(): void;
}

/** Milliseconds between two frames. */
const frameEvery = 100;

/**
 * On a terminal the progress of each content, drawn again and again; elsewhere a line when something becomes of one;
 * nothing with `--quiet`, `--json` or where `isShown` is false.
 */
export function watch(given: Given, io: Io, { isShown = true }: { readonly isShown?: boolean } = {}): Watcher {
  const transfer = createTransfer(() => performance.now());
  const onWarning = (text: string): void => tellWarnings([text], io);
  if (!isShown || given.flags.has('quiet') || given.flags.has('json')) {
    return { transfer, onEvent: transfer.take, onWarning, end: () => {} };
  }
  return isDrawnOn(io) ? drawn(transfer, io) : logged(transfer, io);
}

/** Whether stderr is a terminal that can be drawn on. */
export const isDrawnOn = ({ stderr, environment }: Io): boolean => stderr.isTTY === true && environment.TERM !== 'dumb';

function logged(transfer: Transfer, io: Io): Watcher {
  const hostLine = createHostLines(transfer);
  return {
    transfer,
    onWarning: (text) => tellWarnings([text], io),
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
    const isAsking = transfer.items.size === 0;
    const lines = isAsking
      ? [askingLine(time - transfer.started)]
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
      tellWarnings([text], { ...io, stderr: { isTTY: true, write: (line) => screen.print([String(line).trimEnd()]) } }),
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

/** Before anything is known. */
const askingLine = (milliseconds: number): string => `resolving (${Math.floor(milliseconds / 1000)} s)`;

/** Consoles without the signs that are used; those of Windows show them in its newer terminals. */
const isAscii = ({ environment }: Io): boolean =>
  environment.TERM === 'linux' ||
  (process.platform === 'win32' && !environment.WT_SESSION && environment.TERM_PROGRAM !== 'vscode');
