import { type Copied, formatReference, type Reference } from '../index.ts';
import { withClient } from './client.ts';
import { type Command, type Given, UsageError } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { Interrupted, untilInterrupted } from './interrupted.ts';
import { type Io, oneLine, painter, writeJsonLine, writeLines } from './io.ts';
import { isRead } from './item.ts';
import { pullNotes } from './pull-notes.ts';
import { summaryLines } from './summary.ts';
import type { Transfer } from './transfer.ts';
import { formatBytes } from './units.ts';
import { watch } from './watch.ts';

/** Exchanges with one host at a time, of a client that is not told otherwise. */
const usualExchanges = 8;

export const pullCommand: Command = {
  about:
    'Copies an image, or any artifact, into a directory that is an OCI image layout, for the platform of this machine or\n' +
    'those of --platform. What the layout has is not asked for again, and what broke off goes on where it stood: the\n' +
    'same command resumes. Prints the name with the digest of what was pulled. --json prints a line for each event, last\n' +
    'the result.',
  words: [2, 2],
  options: {
    platform: {
      type: 'string',
      value: 'PLATFORM,…',
      isList: true,
      help: 'linux/arm64, windows/amd64, …; "all" for the whole index',
    },
    concurrency: { type: 'string', value: 'N', help: 'contents at a time; 4' },
    name: { type: 'string', value: 'NAME', help: "what the layout calls it; the reference's tag" },
    'non-distributable': { type: 'boolean', help: 'also layers that their licence forbids to hand on' },
    quiet: { type: 'boolean', short: 'q', help: 'print errors alone' },
  },
  examples: [
    ['ocifetch pull alpine:3.20 ./alpine', 'the image for this machine'],
    ['ocifetch pull --platform linux/amd64,linux/arm64 --name v1 quay.io/team/app:1 ./layout', 'two platforms'],
    ['ocifetch pull --json alpine ./alpine | jq -c "select(.type == \\"result\\")"', 'for a script'],
  ],
  jsonLines: true,
  run: async (given, io) => {
    const [text = '', directory = ''] = given.words;
    const { platform, name } = given.texts;
    const concurrency = concurrencyOf(given);
    const watcher = watch(given, io);
    const { transfer } = watcher;
    const isJson = given.flags.has('json');
    const work = withClient(
      given,
      io,
      (client) =>
        client.pull(text, {
          to: directory,
          signal: io.signal,
          ...(platform !== undefined && { platform: platformsOf(platform) }),
          ...(concurrency !== undefined && { concurrency }),
          ...(name !== undefined && { name }),
          nonDistributable: given.flags.has('non-distributable'),
        }),
      {
        onEvent: (event) => {
          watcher.onEvent(event);
          if (isJson) writeJsonLine(io, event);
        },
        onWarning: watcher.onWarning,
        limits: { concurrency: Math.max(usualExchanges, concurrency ?? 0) },
      },
    );
    try {
      const pulled = await untilInterrupted(work, io.signal);
      watcher.end();
      await tell({ pulled, transfer, directory }, given, io);
      return exitCodes.ok;
    } catch (error) {
      watcher.end();
      if (io.signal?.aborted) throw interruptedPull(io.signal.reason, transfer, directory);
      if (!given.flags.has('quiet') && keptOf(transfer) > 0)
        writeLines(io.stderr, [`${keptText(transfer, directory)}.`]);
      throw error;
    }
  },
};

const platformsOf = (text: string): string | string[] => {
  const platforms = text.split(',').map((one) => one.trim());
  return platforms.length === 1 ? (platforms[0] ?? '') : platforms;
};

function concurrencyOf({ texts: { concurrency } }: Given): number | undefined {
  if (concurrency === undefined) return undefined;
  if (/^[1-9]\d{0,2}$/.test(concurrency)) return Number(concurrency);
  throw new UsageError(`Flag "--concurrency" needs a number from 1 to 999: "${concurrency}"`);
}

interface Outcome {
  readonly pulled: Copied & { readonly reference: Reference };
  readonly transfer: Transfer;
  readonly directory: string;
}

async function tell({ pulled, transfer, directory }: Outcome, given: Given, io: Io): Promise<void> {
  const milliseconds = Math.round(performance.now() - transfer.started);
  const { reference, descriptor } = pulled;
  if (given.flags.has('json')) {
    const { hosts, requests, retries } = transfer;
    const told = { hosts: Object.fromEntries(hosts), requests, retries, milliseconds };
    writeJsonLine(io, { type: 'result', ...pulled, reference: formatReference(reference), directory, ...told });
    return;
  }
  if (given.flags.has('quiet')) return;
  const paint = painter(io, io.stderr);
  const done = `${paint('green', 'pulled')} ${formatReference(reference)} into ${oneLine(directory)}`;
  const notes = await pullNotes({ pulled, transfer, directory, name: given.texts.name ?? reference.tag });
  writeLines(io.stderr, [done, ...summaryLines(transfer, milliseconds), ...notes]);
  const { registry, name } = reference;
  writeLines(io.stdout, [formatReference({ registry, name, digest: descriptor.digest })]);
}

/**
 * Bytes that the layout has, of contents that are complete or not; a document that is only read is not there yet. What a
 * full disk did not take is counted, too.
 */
const keptOf = ({ items }: Transfer): number =>
  [...items.values()]
    .filter((item) => item.mediaType !== '' && !isRead(item))
    .reduce((sum, { position }) => sum + position, 0);

const keptText = (transfer: Transfer, directory: string): string =>
  `about ${formatBytes(keptOf(transfer))} are kept in ${oneLine(directory)}, and the same command goes on from there`;

/** What a pull that was ended leaves. */
function interruptedPull(reason: unknown, transfer: Transfer, directory: string): Interrupted {
  const left = keptOf(transfer) === 0 ? 'nothing is kept yet' : keptText(transfer, directory);
  return new Interrupted(reason instanceof Interrupted ? reason.signal : 'SIGINT', `interrupted: ${left}.`);
}
