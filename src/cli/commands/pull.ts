import { type Copied, formatReference, layoutStore, mediaTypes, type Reference } from '../../index.ts';
import { withClient } from '../client.ts';
import { type Command, type Given, quietOption, UsageError } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { Interrupted, untilInterrupted } from '../interrupted.ts';
import { counted, type Io, oneLine, painter, writeJsonLine, writeLines } from '../io.ts';
import { networkOptions } from '../limits.ts';
import { isRead, type Transfer } from '../progress/transfer.ts';
import { watch } from '../progress/watch.ts';
import { formatBytes, formatDuration, formatRate } from '../units.ts';

/** The library's default limit of concurrent exchanges with one host. */
const defaultExchanges = 8;

export const pullCommand: Command = {
  about:
    'Copies an image, or any artifact, into an OCI image layout, for the platform of this machine or those of --platform.\n' +
    'Content that the layout has is not downloaded again, and what broke off is resumed when the same command runs again.\n' +
    'Prints the name with the digest of what was pulled. --json prints a line for each event, and the result last.',
  words: [2, 2],
  options: {
    platform: {
      type: 'string',
      value: 'PLATFORM,…',
      isList: true,
      help: 'linux/arm64, windows/amd64, …; "all" for the whole index',
    },
    concurrency: { type: 'string', value: 'N', help: 'contents copied at a time; default: 4 to 6, and 64 small ones' },
    name: { type: 'string', value: 'NAME', help: "its name in the layout; default: the reference's tag" },
    'non-distributable': { type: 'boolean', help: 'also copy layers whose licence forbids redistribution' },
    verify: { type: 'boolean', help: 'read and hash what the layout has again; wrong content is replaced in any case' },
    quiet: quietOption,
    ...networkOptions,
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
          verify: given.flags.has('verify'),
          nonDistributable: given.flags.has('non-distributable'),
        }),
      {
        onEvent: (event) => {
          watcher.onEvent(event);
          if (isJson) writeJsonLine(io, event);
        },
        onWarning: watcher.onWarning,
        ...(concurrency !== undefined && concurrency > defaultExchanges && { limits: { concurrency } }),
      },
    );
    try {
      const pulled = await untilInterrupted(work, io.signal);
      watcher.end();
      await report({ pulled, transfer, directory }, given, io);
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

async function report(outcome: Outcome, given: Given, io: Io): Promise<void> {
  const { pulled, transfer, directory } = outcome;
  const milliseconds = Math.round(performance.now() - transfer.started);
  const { reference, descriptor } = pulled;
  const isVerified = given.flags.has('verify');
  if (given.flags.has('json')) {
    const { hosts, requests, retries } = transfer;
    const counts = { hosts: Object.fromEntries(hosts), requests, retries, milliseconds };
    const verified = isVerified && { verified: true };
    writeJsonLine(io, {
      type: 'result',
      ...pulled,
      ...verified,
      reference: formatReference(reference),
      directory,
      ...counts,
    });
    return;
  }
  if (given.flags.has('quiet')) return;
  const paint = painter(io, io.stderr);
  const done = `${paint('green', 'pulled')} ${formatReference(reference)} into ${oneLine(directory)}`;
  const notes = await notesOn(outcome, given.texts.name ?? reference.tag);
  const verified = isVerified
    ? [`  verified: ${formatBytes(pulled.present)} were read again in ${oneLine(directory)}`]
    : [];
  writeLines(io.stderr, [done, ...summaryLines(transfer, milliseconds), ...verified, ...notes]);
  const { registry, name } = reference;
  writeLines(io.stdout, [formatReference({ registry, name, digest: descriptor.digest })]);
}

/**
 * About how many bytes the layout has, of complete and partial contents. A manifest that was only read is not stored yet;
 * what a full disk did not take is counted, too.
 */
const keptOf = ({ items }: Transfer): number =>
  [...items.values()]
    .filter((item) => item.mediaType !== '' && !isRead(item))
    .reduce((sum, { position }) => sum + position, 0);

const keptText = (transfer: Transfer, directory: string): string =>
  `about ${formatBytes(keptOf(transfer))} are kept in ${oneLine(directory)}, and the same command resumes from there`;

/** With how much of the pull is kept. */
function interruptedPull(reason: unknown, transfer: Transfer, directory: string): Interrupted {
  const left = keptOf(transfer) === 0 ? 'nothing is kept yet' : keptText(transfer, directory);
  return new Interrupted(reason instanceof Interrupted ? reason.signal : 'SIGINT', `interrupted: ${left}.`);
}

/** What a transfer came to: how long it took, what each host sent, and what was not downloaded. */
export function summaryLines(transfer: Transfer, milliseconds: number): string[] {
  const items = [...transfer.items.values()];
  const received = [...transfer.hosts.values()].reduce((sum, bytes) => sum + bytes, 0);
  const rate = milliseconds > 0 && received > 0 ? ` (${formatRate((received / milliseconds) * 1000)})` : '';
  const present = items.filter(({ stage }) => stage === 'present').reduce((sum, { size }) => sum + size, 0);
  const resumed = items.filter(({ resumedAt }) => resumedAt > 0);
  const kept = resumed.reduce((sum, { resumedAt }) => sum + resumedAt, 0);
  const parts = [
    ...(present > 0 ? [`${formatBytes(present)} already there`] : []),
    ...(kept > 0 ? [`${formatBytes(kept)} of ${counted(resumed.length, 'content')} resumed`] : []),
  ];
  const switches = items.reduce((sum, item) => sum + item.switches, 0);
  const skipped = items.filter(({ stage }) => stage === 'skipped');
  const hosts = [...transfer.hosts].sort(([, a], [, b]) => b - a);
  const width = Math.max(0, ...hosts.map(([host]) => host.length));
  return [
    `  ${formatBytes(received)} in ${formatDuration(milliseconds)}${rate}, ${counted(transfer.requests, 'request')}`,
    ...hosts.map(([host, bytes]) => `    ${host.padEnd(width)}  ${formatBytes(bytes).padStart(8)}`),
    ...(parts.length > 0 ? [`  not downloaded: ${parts.join(', ')}`] : []),
    ...(switches > 0 ? [`  ${counted(switches, 'change')} of host`] : []),
    ...(transfer.retries > 0 ? [`  ${transfer.retries === 1 ? '1 retry' : `${transfer.retries} retries`}`] : []),
    ...(skipped.length > 0 ? [`  ${counted(skipped.length, 'layer')} left out: not distributable`] : []),
  ];
}

const dockerTypes: ReadonlySet<string> = new Set([mediaTypes.dockerManifest, mediaTypes.dockerList]);

/** What a user should know about the layout after a successful pull. `name` is the name that it has in the layout. */
async function notesOn(
  { pulled: { replaced }, transfer, directory }: Outcome,
  name: string | undefined,
): Promise<string[]> {
  const notes: string[] = [];
  if (replaced && name !== undefined) {
    const lost = (await hasName(directory, replaced.digest)) ? '' : ', which has no name now';
    notes.push(`"${oneLine(name)}" was ${replaced.digest} before${lost}; --name gives another`);
  }
  if ([...transfer.items.values()].some(({ mediaType }) => dockerTypes.has(mediaType)))
    notes.push(
      "it has Docker's media types: crane and regctl read such a layout, skopeo and umoci only one with OCI manifests",
    );
  return notes.map((text) => `note: ${text}`);
}

/** Most names of a layout that are looked up. */
const mostNames = 200;

/** Also true if it cannot be found out: a layout that cannot be read does not fail the pull. */
async function hasName(directory: string, digest: string): Promise<boolean> {
  const store = layoutStore(directory);
  try {
    const names = await store.tags();
    if (names.length > mostNames) return true;
    const named = await Promise.allSettled(names.map((tag) => store.resolve(tag)));
    return named.some((one) => one.status === 'fulfilled' && one.value.digest === digest);
  } catch {
    return true;
  }
}
