import { type LayoutReport, type LayoutStore, layoutStore } from '../index.ts';
import type { Command, Given } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { counted, type Io, oneLine, painter, writeJson, writeLines } from './io.ts';
import { mustBeLayout } from './layout-directory.ts';
import { createScreen } from './screen.ts';
import { formatBytes } from './units.ts';
import { isDrawnOn } from './watch.ts';

type Progress = NonNullable<NonNullable<Parameters<LayoutStore['verify']>[0]>['onProgress']>;

export const verifyCommand: Command = {
  about:
    'Hashes everything in an OCI image layout again, whoever wrote it, and looks whether all that its index names is there.\n' +
    'Ends with 7 where bytes are wrong or missing. Nothing is sent.',
  words: [1, 1],
  options: { quiet: { type: 'boolean', short: 'q', help: 'print what is wrong alone' } },
  examples: [
    ['ocifetch verify ./layout', 'a layout that came on a disk'],
    ['ocifetch verify --json ./layout | jq .missing', 'for a script'],
  ],
  run: async (given, io) => {
    const [directory = ''] = given.words;
    await mustBeLayout(directory);
    const report = await watched(given, io, (onProgress) =>
      layoutStore(directory).verify({ signal: io.signal, onProgress }),
    );
    if (given.flags.has('json')) writeJson(io, report);
    else tell(report, directory, io, given.flags.has('quiet'));
    if (!given.flags.has('quiet')) writeLines(io.stderr, adviceOf(report));
    return report.wrong.length + report.missing.length > 0 ? exitCodes.wrongBytes : exitCodes.ok;
  },
};

/** Milliseconds between two frames. */
const frameEvery = 100;

/** On a terminal, how far it is. */
async function watched<T>(given: Given, io: Io, work: (onProgress?: Progress) => Promise<T>): Promise<T> {
  const isShown = isDrawnOn(io) && !given.flags.has('quiet') && !given.flags.has('json');
  if (!isShown) return work();
  const screen = createScreen(io.stderr, (line) => line.length);
  let drawn = Number.NEGATIVE_INFINITY;
  try {
    return await work(({ checked, contents, bytes }) => {
      const time = performance.now();
      if (time - drawn < frameEvery) return;
      drawn = time;
      screen.draw([`${checked} of ${counted(contents, 'content')}  ${formatBytes(bytes)}`]);
    });
  } finally {
    screen.end();
  }
}

/** What is found of a document whose bytes are its digest's, and yet wrong. */
const isOfDocument = /^Cannot read manifest | has \d+ bytes where /;

/** What mends a layout: no command overwrites a file that is there. */
function adviceOf({ wrong, missing }: LayoutReport): string[] {
  // A size that `index.json` has wrong is mended by the next pull.
  const files = wrong.filter(({ found }) => !isOfDocument.test(found)).length;
  const documents = wrong.filter(({ digest, found }) => digest !== undefined && isOfDocument.test(found)).length;
  const what = files === 0 ? 'Pull' : `Remove ${files === 1 ? 'the wrong file' : 'the wrong files'}, and pull`;
  return [
    ...(wrong.length + missing.length > documents
      ? [`${what} again into the layout: what is right in it is not downloaded again.`]
      : []),
    ...(documents > 0 ? ['A manifest that is wrong itself comes again as it is: have the image built anew.'] : []),
  ];
}

function tell(report: LayoutReport, directory: string, io: Io, isQuiet: boolean): void {
  const paint = painter(io, io.stdout);
  const { checked, bytes, wrong, missing, notCopied, strangers, partials } = report;
  const isSound = wrong.length + missing.length === 0;
  const notes = [
    ...(notCopied.length > 0
      ? [`${counted(notCopied.length, 'content')} not copied: of another platform, or not distributable`]
      : []),
    ...(strangers.length > 0 ? [`${counted(strangers.length, 'file')} that are no content`] : []),
    ...(partials > 0 ? [`${counted(partials, 'download')} that broke off, for the next pull to go on with`] : []),
  ];
  const verdict = isSound ? paint('green', 'ok') : paint('red', 'wrong');
  const counts = `${counted(checked, 'content')}, ${formatBytes(bytes)}`;
  const faults = isSound ? '' : `; ${wrong.length} wrong, ${missing.length} missing`;
  writeLines(io.stdout, [
    ...wrong.map(({ path, found }) => `${paint('red', 'wrong:')} ${oneLine(path)}: ${oneLine(found)}`),
    ...missing.map(
      ({ digest, size, neededBy }) =>
        `${paint('red', 'missing:')} ${digest} (${formatBytes(size)}), needed by ${oneLine(neededBy)}`,
    ),
    ...(isQuiet
      ? []
      : [...notes.map((text) => `note: ${text}`), `${verdict}: ${oneLine(directory)}: ${counts}${faults}`]),
  ]);
}
