import { stripVTControlCharacters, styleText } from 'node:util';
import fc from 'fast-check';
import type { ClientEvent } from 'ocifetch';
import { expect, test } from 'vitest';
import { summaryLines } from '../../../src/cli/commands/pull.ts';
import { createHostLines, eventLine, type Look, progressLines } from '../../../src/cli/progress/lines.ts';
import { createScreen } from '../../../src/cli/progress/screen.ts';
import { createTransfer } from '../../../src/cli/progress/transfer.ts';
import { endpointOf } from '../../support/http.ts';

type State = Extract<ClientEvent, { readonly type: 'copy' }>['state'];

const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';
const digestOf = (index: number): string => `sha256:${index.toString(16).padStart(12, '0')}${'f'.repeat(52)}`;
const copied = (index: number, state: State, size: number, offset = 0, mediaType = layerType): ClientEvent => ({
  type: 'copy',
  digest: digestOf(index),
  mediaType,
  size,
  state,
  offset,
});
const progressed = (index: number, position: number, size: number, from = 'https://mirror.test/v2'): ClientEvent => ({
  type: 'progress',
  digest: digestOf(index),
  position,
  size,
  from,
});
const switched = (index: number, to: string, offset = 0): ClientEvent => ({
  type: 'switch',
  digest: digestOf(index),
  offset,
  from: 'https://mirror.test/v2',
  to,
  reason: 'it broke',
});

/** A transfer on a clock of its own. */
function transferOf() {
  let time = 0;
  const transfer = createTransfer(() => time);
  return {
    transfer,
    at: (milliseconds: number, ...events: readonly ClientEvent[]): void => {
      time = milliseconds;
      for (const event of events) transfer.take(event);
    },
    frame: (look: Partial<Look> = {}): string[] =>
      progressLines(transfer, { columns: 80, rows: 24, time, paint: (_, text) => text, ascii: false, ...look }),
  };
}

/** One content in each state that there is. */
function mixed() {
  const { at, frame, transfer } = transferOf();
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  at(0, { type: 'verified', digest: digestOf(1), size: 2_100, from: '' }, copied(1, 'begun', 2_100, 0, manifestType));
  at(0, progressed(1, 2_100, 2_100), { type: 'verified', digest: digestOf(1), size: 2_100, from: '' });
  at(0, copied(2, 'present', 80_000), copied(3, 'begun', 27_100_000), copied(4, 'begun', 4_700_000, 1_500_000));
  at(0, copied(5, 'waiting', 900_000), copied(6, 'skipped', 1_000), copied(7, 'begun', 1_000_000));
  at(500, progressed(7, 1_000_000, 1_000_000), copied(7, 'stored', 1_000_000));
  at(1_000, progressed(3, 12_300_000, 27_100_000), progressed(4, 2_000_000, 4_700_000));
  at(
    1_000,
    switched(4, 'https://other.test:5000/v2'),
    progressed(4, 2_600_000, 4_700_000, 'https://other.test:5000/v2'),
  );
  return { transfer, at, frame };
}

test('80 columns have room for bar, bytes, rate, host and marks, in columns', () => {
  expect(mixed().frame()).toEqual([
    '000000000001      2.1 kB  read, and stored last',
    '000000000002  ✓  80.0 kB  already there',
    '000000000003  ━━───  45%  12.3/27.1 MB  12.3 MB/s  mirror.test',
    '000000000004  ━━━──  55%    2.6/4.7 MB   1.1 MB/s  other.test:5000  ⇄ ↻ 1.5 MB',
    '000000000005    900.0 kB  waiting for another process',
    '000000000006      1.0 kB  left out: not distributable',
    '000000000007  ✓   1.0 MB  mirror.test',
    '3 done, 3 under way  16.0/33.8 MB  13.4 MB/s  1.3 s left',
  ]);
});

test('100 columns say what the marks mean, 60 have no bar, 40 keep percent, bytes and marks', () => {
  const { frame } = mixed();
  const line = (columns: number, rows = 24): string | undefined => frame({ columns, rows })[3];
  expect(line(110)).toBe(
    '000000000004  ━━━━━━━━━━━─────────  55%    2.6/4.7 MB   1.1 MB/s  other.test:5000  ⇄ ↻ resumed at 1.5 MB',
  );
  expect(line(60)).toBe('000000000004   55%    2.6/4.7 MB  other.test:…  ⇄ ↻ 1.5 MB');
  expect(line(40)).toBe('000000000004   55%  ⇄ ↻ 1.5 MB');
});

test('a row has the same text with and without colours', () => {
  const { frame } = mixed();
  const paint: Look['paint'] = (style, text) => styleText(style, text, { validateStream: false });
  for (const columns of [30, 40, 60, 79, 80, 81, 110]) {
    expect(frame({ columns, paint }).map(stripVTControlCharacters)).toEqual(frame({ columns }));
  }
});

test('content that starts over after its last byte had wrong bytes; another host for it is a change of host', () => {
  const { transfer, at } = transferOf();
  const wrongOf = (index: number) => transfer.items.get(digestOf(index))?.wrong;
  at(0, copied(1, 'begun', 10), progressed(1, 10, 10, 'https://liar.test/v2'), copied(1, 'begun', 10));
  expect(wrongOf(1)).toEqual({ host: 'liar.test', isSole: true });
  at(1, progressed(1, 10, 10, 'https://other.test/v2'), copied(1, 'stored', 10));
  at(2, copied(2, 'begun', 10, 4), progressed(2, 10, 10), copied(2, 'begun', 10));
  expect(wrongOf(2)).toEqual({ host: 'mirror.test', isSole: false });
  at(3, progressed(2, 10, 10), copied(2, 'stored', 10));
  // Not if it waited for another process, or broke off before.
  at(4, copied(3, 'begun', 10), progressed(3, 10, 10), copied(3, 'waiting', 10), copied(3, 'begun', 10));
  at(5, copied(4, 'begun', 10), progressed(4, 9, 10), copied(4, 'begun', 10, 9));
  expect([wrongOf(3), wrongOf(4)]).toEqual([undefined, undefined]);
  expect(summaryLines(transfer, 1).filter((line) => line.includes('change'))).toEqual(['  1 change of host']);
});

test('leaving a host that sent nothing is not a change of host, leaving one that broke off is', () => {
  const { transfer, at } = transferOf();
  const from = 'https://other.test/v2';
  const taken: (string | undefined)[] = [];
  const take = (index: number, offset: number, ...before: ClientEvent[]): void => {
    const event = switched(index, from, offset);
    at(0, ...before, event);
    taken.push(eventLine(event, transfer)?.replace(/^\w+ +/, ''));
    at(0, progressed(index, 10, 10, from), copied(index, 'stored', 10));
  };
  const line = (offset: number): string => `switched  mirror.test -> other.test at ${offset} B: it broke`;
  // From its beginning, and from where an earlier run ended.
  take(1, 0, copied(1, 'begun', 10));
  take(2, 4, copied(2, 'begun', 10, 4));
  // After bytes that progress events reported, or too few for one.
  take(3, 6, copied(3, 'begun', 10), progressed(3, 6, 10));
  take(4, 6, copied(4, 'begun', 10, 4));
  // Of a content that nothing is known of yet.
  take(5, 0);
  take(6, 3);
  expect(taken).toEqual([undefined, undefined, line(6), line(6), undefined, line(3)]);
  expect([...transfer.items.values()].map(({ switches }) => switches)).toEqual([0, 0, 1, 1, 0, 0]);
  expect([...transfer.items.values()].map(({ hosts }) => hosts.size)).toEqual([1, 1, 2, 2, 1, 1]);
});

test('a content that is read over several connections says over how many, in a frame and in a log', () => {
  const { transfer, at } = transferOf();
  const digest = digestOf(1);
  const split = {
    type: 'split',
    digest,
    size: 10,
    position: 2,
    connections: 8,
    hosts: ['https://a.test/v2', 'https://b.test/v2'],
  } as const;
  at(0, copied(1, 'begun', 10), progressed(1, 2, 10), split);
  expect(eventLine(split, transfer)).toMatch(/split +8 connections at 2 B {2}a\.test, b\.test$/);
  expect(transfer.items.get(digest)?.connections).toBe(8);
});

test('a terminal without other characters gets ASCII', () => {
  const text = mixed().frame({ ascii: true, columns: 100 }).join('\n');
  expect(text).toMatch(/^000000000003 {2}=+-+ {2}45% /m);
  expect(text).toContain('<> at 1.5 MB');
  expect(text).toMatch(/^[\x20-\x7e\n]*$/);
});

test('if there are more contents than rows, only those under way are shown, and all are counted', () => {
  const { at, frame } = transferOf();
  for (let index = 0; index < 40; index++) at(0, copied(index, index < 20 ? 'stored' : 'begun', 1_000_000));
  const short = frame({ rows: 10 });
  expect(short).toHaveLength(9);
  expect(short[0]).toMatch(/^000000000014 {2}/);
  expect(short.at(-1)).toBe('20 done, 20 under way  20.0/40.0 MB');
  expect(frame({ rows: 50 })).toHaveLength(41);
});

test('the rate is measured over the last seconds', () => {
  const { at, frame } = transferOf();
  at(0, copied(1, 'begun', 100_000_000));
  for (let second = 1; second <= 20; second++) at(second * 1_000, progressed(1, second * 1_000_000, 100_000_000));
  expect(frame()[0]).toContain('  1.0 MB/s  ');
  at(21_000, progressed(1, 50_000_000, 100_000_000));
  expect(frame()[0]).toContain('  10.7 MB/s  ');
});

test('no frame is larger than its terminal or has a control character, whatever the events', () => {
  const event = fc.record({
    index: fc.integer({ min: 0, max: 30 }),
    kind: fc.constantFrom('begun', 'waiting', 'present', 'stored', 'skipped', 'progress', 'switch'),
    size: fc.constantFrom(0, 1, 999, 1_000, 999_949, 123_456_789, 5e12),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
    host: fc.oneof(fc.constantFrom('https://m.test/v2', `https://${'long.'.repeat(20)}test/v2`), fc.string()),
  });
  const size = fc.record({ columns: fc.integer({ min: 25, max: 200 }), rows: fc.integer({ min: 3, max: 60 }) });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), size, fc.boolean(), (events, terminal, ascii) => {
      const { at, frame } = transferOf();
      const sizes = new Map<number, number>();
      for (const [time, { index, kind, size: any, part, host }] of events.entries()) {
        const whole = sizes.get(index) ?? any;
        sizes.set(index, whole);
        const position = Math.floor(part * whole);
        if (kind === 'progress') at(time * 100, progressed(index, position, whole, host));
        else if (kind === 'switch') at(time * 100, switched(index, host));
        else at(time * 100, copied(index, kind as State, whole, kind === 'begun' ? position : 0));
      }
      const lines = frame({ ...terminal, ascii });
      expect(lines.length).toBeLessThan(terminal.rows);
      for (const line of lines) {
        expect(line.length).toBeLessThan(terminal.columns);
        expect(line).toBe(stripVTControlCharacters(line));
        expect(line).not.toMatch(/\p{Cc}/u);
      }
    }),
    { numRuns: 300 },
  );
});

test('the summary shows what each host sent, what was not downloaded, and what went wrong', () => {
  const { transfer, at } = mixed();
  const attempt = (host: string, bytes: number): ClientEvent =>
    ({ type: 'attempt', host, bytes, outcome: 'ok', url: `https://${host}/v2` }) as ClientEvent;
  const request: ClientEvent = { type: 'request', method: 'GET', url: '', outcome: 'ok', duration: 1, bytes: 1 };
  at(1_500, request, request, attempt('mirror.test', 13_300_000), attempt('other.test:5000', 1_100_000));
  at(1_500, { type: 'wait', url: 'https://mirror.test/', milliseconds: 5, reason: 'status 503' });
  expect(summaryLines(transfer, 1_500)).toEqual([
    '  14.4 MB in 1.5 s (9.6 MB/s), 2 requests',
    '    mirror.test       13.3 MB',
    '    other.test:5000    1.1 MB',
    '  not downloaded: 80.0 kB already there, 1.5 MB of 1 content resumed',
    '  1 change of host',
    '  1 retry',
    '  1 layer left out: not distributable',
  ]);
});

/** A terminal of this size that wraps again what it shows when it is resized, as most do. Enough of one for frames. */
function terminalOf(columns: number) {
  const begins = String.fromCharCode(27);
  const code = new RegExp(`${begins}\\[\\??(\\d*)([A-Za-z])`, 'y');
  let rows: string[] = [''];
  let row = 0;
  /** The first row that is shown; those above it have been scrolled away. */
  let top = 0;
  const terminal = {
    columns,
    rows: 24,
    writes: 0,
    isCursorShown: true,
    write: (chunk: string | Uint8Array) => {
      terminal.writes += 1;
      const text = String(chunk);
      for (let at = 0; at < text.length; at++) {
        code.lastIndex = at;
        const [whole, count, letter] = code.exec(text) ?? [];
        if (whole === undefined) put(text[at] ?? '');
        else control(letter, Number(count));
        at += (whole?.length ?? 1) - 1;
      }
    },
    resize: (wide: number) => {
      const before = rows.slice(0, row);
      const wrapped = (lines: readonly string[]): string[] =>
        lines.flatMap((line) => line.match(new RegExp(`.{1,${wide}}`, 'g')) ?? ['']);
      row = wrapped(before).length;
      rows = wrapped(rows);
      terminal.columns = wide;
    },
    /** Rows that are scrolled away by a shorter one are shown again by a taller one. */
    resizeRows: (high: number) => {
      top = high > terminal.rows ? Math.max(0, top - (high - terminal.rows)) : Math.max(top, row - high + 1);
      terminal.rows = high;
    },
    shown: () => rows.filter((line) => line !== ''),
  };
  const put = (character: string): void => {
    if (character === '\n') {
      row += 1;
      rows[row] ??= '';
      top = Math.max(top, row - terminal.rows + 1);
      // What is written next begins the row.
      fresh = true;
    } else if (character === '\r') fresh = true;
    else {
      rows[row] = fresh ? character : `${rows[row]}${character}`;
      fresh = false;
    }
  };
  let fresh = true;
  const control = (letter: string | undefined, count: number): void => {
    if (letter === 'A') row = Math.max(top, row - count);
    if (letter === 'K' && fresh) rows[row] = '';
    if (letter === 'J') rows = fresh ? [...rows.slice(0, row), ''] : rows.slice(0, row + 1);
    if (count === 25) terminal.isCursorShown = letter === 'h';
  };
  return terminal;
}

test('a frame replaces the previous one in one write, also if it has fewer lines', () => {
  const terminal = terminalOf(40);
  terminal.write('$ command\n');
  const screen = createScreen(terminal, (line) => line.length);
  screen.draw(['one', 'two', 'three']);
  screen.draw(['four']);
  expect(terminal.shown()).toEqual(['$ command', 'four']);
  expect({ writes: terminal.writes, isCursorShown: terminal.isCursorShown }).toEqual({
    writes: 3,
    isCursorShown: false,
  });
  screen.print(['a warning']);
  expect(terminal.shown()).toEqual(['$ command', 'a warning', 'four']);
  screen.end();
  expect(terminal.shown()).toEqual(['$ command', 'a warning']);
  expect(terminal.isCursorShown).toBe(true);
});

test('a terminal that is made narrower or wider between two frames shows only the second', () => {
  for (const columns of [8, 12, 100]) {
    const terminal = terminalOf(40);
    terminal.write('$ run\n');
    const screen = createScreen(terminal, (line) => line.length);
    screen.draw(['x'.repeat(30), 'y'.repeat(39), '']);
    terminal.resize(columns);
    screen.draw(['short', 'lines']);
    expect(terminal.shown()).toEqual(['$ run', 'short', 'lines']);
    screen.end();
  }
});

test.each([[[6, 20]], [[6, 10, 20]], [[6, 4, 12, 20]]])(
  'a terminal that is made shorter and taller again (%j) shows only the last frame',
  (heights) => {
    const terminal = terminalOf(40);
    terminal.rows = 20;
    terminal.write('$ run\n');
    const screen = createScreen(terminal, (line) => line.length);
    const draw = (name: string): void =>
      screen.draw(Array.from({ length: Math.min(18, terminal.rows - 2) }, (_, index) => `${name} ${index}`));
    draw('first');
    for (const [index, rows] of heights.entries()) {
      terminal.resizeRows(rows);
      for (const time of ['a', 'b']) draw(`${index}${time}`);
    }
    screen.end(['the end']);
    expect(terminal.shown()).toEqual(['$ run', 'the end']);
  },
);

test('a terminal that reports its size as 0 is drawn on as 80 columns and 24 rows', () => {
  const terminal = Object.assign(terminalOf(80), { columns: 80 });
  const sized = { ...terminal, columns: 0, rows: 0 };
  const screen = createScreen(sized, (line) => line.length);
  for (const name of ['first', 'second', 'third']) screen.draw([`${name} 1`, `${name} 2`, `${name} 3`]);
  expect(terminal.shown()).toEqual(['third 1', 'third 2', 'third 3']);
  screen.end();
  expect(terminal.shown()).toEqual([]);
});

test('printed lines stay when rows that scrolled away come back', () => {
  const terminal = terminalOf(40);
  terminal.rows = 20;
  const screen = createScreen(terminal, (line) => line.length);
  screen.draw(Array.from({ length: 18 }, (_, index) => `row ${index}`));
  terminal.resizeRows(6);
  screen.draw(['one', 'two']);
  screen.print(['a warning']);
  terminal.resizeRows(20);
  screen.draw(['three']);
  screen.end();
  expect(terminal.shown().at(-1)).toBe('a warning');
});

test('a host is reported for its own failures, not for those of the user or the disk', () => {
  const { transfer } = transferOf();
  const hostLine = createHostLines(transfer);
  const attempt = (outcome: string): ClientEvent => ({
    type: 'attempt',
    ...endpointOf('https://mirror.test/v2'),
    host: 'mirror.test',
    method: 'GET',
    request: 'https://mirror.test/v2/a/blobs/x',
    outcome,
    message: `Cannot get "https://mirror.test/v2/a/blobs/x": what ${outcome} says`,
    found: `what ${outcome} says`,
    duration: 1,
    bytes: 0,
  });
  for (const outcome of ['ok', 'NOT_FOUND', 'ABORTED', 'CLOSED', 'STORE_ERROR']) {
    expect(hostLine(attempt(outcome))).toBeUndefined();
  }
  expect(hostLine(attempt('UNAVAILABLE'))).toBe('mirror.test failed: what UNAVAILABLE says');
  const [from, to] = ['https://mirror.test/v2', 'https://origin.test/v2'];
  const hedge: ClientEvent = { type: 'hedge', from, to, milliseconds: 301 };
  expect(hostLine(hedge)).toBe('no response from mirror.test in 0.3 s: origin.test is requested, too');
  expect(hostLine({ ...hedge, milliseconds: 905 }), 'once').toBeUndefined();
});
