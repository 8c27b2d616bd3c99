import { type LayoutReport, type LayoutStore, layoutStore } from '../../index.ts';
import type { Command, Given } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { counted, type Io, oneLine, painter, writeJson, writeLines } from '../io.ts';
import { createScreen } from '../progress/screen.ts';
import { canDrawOn } from '../progress/watch.ts';
import { formatBytes } from '../units.ts';

type Progress = NonNullable<NonNullable<Parameters<LayoutStore['verify']>[0]>['onProgress']>;

export const verifyCommand: Command = {
  about:
    'Hashes all content of an OCI image layout again, and checks that everything its index needs is there. The exit code is\n' +
    '7 if bytes are wrong or missing. Nothing is sent.',
  words: [1, 1],
  options: { quiet: { type: 'boolean', short: 'q', help: 'print only what is wrong' } },
  examples: [
    ['ocifetch verify ./layout', 'a layout copied from elsewhere'],
    ['ocifetch verify --json ./layout | jq .missing', 'for a script'],
  ],
  run: async (given, io) => {
    const [directory = ''] = given.words;
    const report = await withProgress(given, io, (onProgress) =>
      layoutStore(directory).verify({ signal: io.signal, onProgress }),
    );
    if (given.flags.has('json')) writeJson(io, report);
    else print(report, directory, io, given.flags.has('quiet'));
    if (!given.flags.has('quiet')) writeLines(io.stderr, adviceOf(report));
    return report.wrong.length + report.missing.length > 0 ? exitCodes.wrongBytes : exitCodes.ok;
  },
};

/** Milliseconds between two frames. */
const frameEvery = 100;

/** On a terminal, shows how far it is. */
async function withProgress<T>(given: Given, io: Io, work: (onProgress?: Progress) => Promise<T>): Promise<T> {
  const isShown = canDrawOn(io) && !given.flags.has('quiet') && !given.flags.has('json');
  if (!isShown) return work();
  const screen = createScreen(io.stderr, (line) => line.length);
  let lastDrawn = Number.NEGATIVE_INFINITY;
  try {
    return await work(({ checked, contents, bytes }) => {
      const time = performance.now();
      if (time - lastDrawn < frameEvery) return;
      lastDrawn = time;
      screen.draw([`${checked} of ${counted(contents, 'content')}  ${formatBytes(bytes)}`]);
    });
  } finally {
    screen.end();
  }
}

/** How to fix the layout. A pull replaces wrong files, but not a directory or the like in the place of one. */
function adviceOf({ wrong, missing }: LayoutReport): string[] {
  // The next pull corrects a size in `index.json`.
  const documents = wrong.filter(
    ({ digest, kind }) => digest !== undefined && (kind === 'document' || kind === 'size'),
  ).length;
  const entries = wrong.filter(({ digest, kind }) => digest === undefined && kind === 'document').length;
  const files = wrong.filter(({ kind }) => kind === 'file').length;
  const what = files === 0 ? 'Pull' : 'Remove what is not a readable file, then pull';
  return [
    ...(wrong.length + missing.length > documents + entries
      ? [`${what} into the layout again: content that is right is not downloaded again.`]
      : []),
    ...(entries > 0 ? ['Correct or remove the entry of index.json: a pull leaves it as it is.'] : []),
    ...(documents > 0 ? ['Pulling a manifest that is itself wrong does not help: have the image built again.'] : []),
  ];
}

function print(report: LayoutReport, directory: string, io: Io, isQuiet: boolean): void {
  const paint = painter(io, io.stdout);
  const { checked, bytes, wrong, missing, notCopied, strangers, partials } = report;
  const isSound = wrong.length + missing.length === 0;
  const notes = [
    ...(notCopied.length > 0
      ? [`${counted(notCopied.length, 'content')} not copied: of another platform, or not distributable`]
      : []),
    ...(strangers.length > 0
      ? [`${counted(strangers.length, 'file')} that ${strangers.length === 1 ? 'is' : 'are'} not content`]
      : []),
    ...(partials > 0 ? [`${counted(partials, 'partial download')}, which the next pull resumes`] : []),
  ];
  const verdict = isSound ? paint('green', 'ok') : paint('red', 'wrong');
  const counts = `${counted(checked, 'content')}, ${formatBytes(bytes)}`;
  const problems = isSound ? '' : `; ${wrong.length} wrong, ${missing.length} missing`;
  writeLines(io.stdout, [
    ...wrong.map(({ path, found }) => `${paint('red', 'wrong:')} ${oneLine(path)}: ${oneLine(found)}`),
    ...missing.map(
      ({ digest, size, neededBy }) =>
        `${paint('red', 'missing:')} ${digest} (${formatBytes(size)}), needed by ${oneLine(neededBy)}`,
    ),
    ...(isQuiet
      ? []
      : [...notes.map((text) => `note: ${text}`), `${verdict}: ${oneLine(directory)}: ${counts}${problems}`]),
  ]);
}
