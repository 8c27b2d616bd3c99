import { createHash } from 'node:crypto';
import type { Client, Content } from '../../index.ts';
import { withClient } from '../client.ts';
import { type Command, type Given, outputOption, quietOption, UsageError } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { type Io, writeJson, writeLines } from '../io.ts';
import { networkOptions } from '../limits.ts';
import { isWrong, type Kept, type Output, withOutput } from '../output.ts';
import { watch } from '../progress/watch.ts';
import { formatBytes } from '../units.ts';

export const getCommand: Command = {
  about:
    'Fetches a blob or manifest by its digest and prints it, or writes it to a file. A file gets its name only after all\n' +
    'bytes are verified; what breaks off is kept beside it, and the same command resumes it. Printed content is verified after its last byte, so check the exit code. A range cannot be\n' +
    'verified.',
  words: [1, 1],
  options: {
    output: outputOption,
    range: { type: 'string', value: 'A-B', help: 'bytes A to B, inclusive; "A-" to the end, "-N" the last N' },
    quiet: quietOption,
    ...networkOptions,
  },
  examples: [
    ['ocifetch get alpine@sha256:… -o layer.tar.gz', 'a layer into a file'],
    ['ocifetch get alpine@sha256:… | jq .config', 'an image configuration'],
    ['ocifetch get quay.io/team/app@sha256:… --range 0-511 -o head', 'the first 512 bytes'],
  ],
  run: async (given, io) => {
    const { output: path } = given.texts;
    const [text = ''] = given.words;
    const isFile = path !== undefined && path !== '-';
    if (given.flags.has('json') && !isFile)
      throw new UsageError('Flag "--json" needs -o FILE: stdout is for the content');
    const range = given.texts.range === undefined ? undefined : parseRange(given.texts.range);
    const watcher = watch(given, io, { isShown: isFile });
    try {
      await withClient(given, io, (client) => get({ client, text, given, io, range }), watcher);
    } finally {
      watcher.end();
    }
    return exitCodes.ok;
  },
};

interface GetArguments {
  readonly client: Client;
  readonly text: string;
  readonly given: Given;
  readonly io: Io;
  readonly range: RequestedRange | undefined;
}

async function get({ client, text, given, io, range }: GetArguments): Promise<void> {
  const { reference, endpoints } = client.plan(text);
  const { digest, registry, name } = reference;
  if (digest === undefined) {
    throw new UsageError(
      `Command "get" needs a digest: NAME@sha256:…; "ocifetch manifest --digest ${text}" prints the digest of a tag`,
    );
  }
  const isQuiet = given.flags.has('quiet');
  // A host without ranges sends the whole again, whose beginning is dropped: to begin anew would cost as much.
  const how = { signal: io.signal, discard: Infinity };
  await using content = await client.fetcher({ registry, name }).fetchByDigest(digest, how);
  const part = range && partOf(range, content.size);
  const onKept = (bytes: number): void => {
    if (!isQuiet) writeLines(io.stderr, [`The first ${formatBytes(bytes)} are kept: the same command resumes there.`]);
  };
  await withOutput(
    given.texts.output,
    io,
    (output) => (part ? write(content.stream(part), output) : writeWhole(content, output, endpoints.length)),
    part ? {} : { digest, onKept },
  );
  if (part && !isQuiet) writeLines(io.stderr, ['A range cannot be verified.']);
  if (!given.flags.has('json')) return;
  const { descriptor, source: from } = content;
  const verified = part === undefined;
  writeJson(io, { file: given.texts.output, descriptor, ...(part && { range: part }), from, verified });
}

/** Starts over from another host if the bytes are wrong and the output allows it: the host that sent them comes last. */
async function writeWhole(content: Content, output: Output, hosts: number): Promise<void> {
  if (output.kept && (await resumeWhole(content, output, output.kept))) return;
  for (let tried = 1; ; tried += 1) {
    try {
      await write(content, output);
      return;
    } catch (error) {
      if (!isWrong(error) || !output.restart || tried >= hosts) throw error;
      await output.restart();
      await content.seek(0);
    }
  }
}

/** Writes what is missing after what was kept. False, with the output empty again, if the whole is not right then. */
async function resumeWhole(content: Content, output: Output, { size, read }: Kept): Promise<boolean> {
  const { descriptor } = content;
  const [algorithm = ''] = descriptor.digest.split(':');
  const hash = createHash(algorithm);
  if (size <= descriptor.size) {
    for await (const chunk of read()) hash.update(chunk);
    for await (const chunk of content.stream({ start: size })) {
      hash.update(chunk);
      await output.write(chunk);
    }
    if (`${algorithm}:${hash.digest('hex')}` === descriptor.digest) return true;
  }
  await output.restart?.();
  return false;
}

async function write(chunks: AsyncIterable<Uint8Array>, output: Output): Promise<void> {
  for await (const chunk of chunks) await output.write(chunk);
}

/** A range as it is written: from `first` to `to`, or the last `last` bytes. */
type RequestedRange = { readonly first: number; readonly to?: number } | { readonly last: number };

function parseRange(text: string): RequestedRange {
  const [, first, to, last] = /^(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))$/.exec(text) ?? [];
  if (last !== undefined && Number(last) > 0) return { last: Number(last) };
  if (first !== undefined && to === undefined) return { first: Number(first) };
  if (first !== undefined && Number(to) >= Number(first)) return { first: Number(first), to: Number(to) };
  throw new UsageError(`Flag "--range" needs bytes as A-B, A- or -N: "${text}"`);
}

/** Undefined for the whole content, which can be verified. */
function partOf(range: RequestedRange, size: number): { start: number; end: number } | undefined {
  const start = 'last' in range ? Math.max(0, size - range.last) : range.first;
  const end = 'last' in range || range.to === undefined ? size : Math.min(size, range.to + 1);
  if (start >= size && start > 0) throw new UsageError(`Flag "--range" begins at ${start}: there are ${size} bytes`);
  return start === 0 && end === size ? undefined : { start, end };
}
