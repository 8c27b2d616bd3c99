import { posix } from 'node:path';
import type { FileEntry } from '../../index.ts';
import { withClient } from '../client.ts';
import { type Command, platformOption } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { escapedPoint, type Io, jsonText, send } from '../io.ts';
import { fileOptions } from '../limits.ts';

export const lsCommand: Command = {
  about:
    'Lists the files of an image, with all layers applied: mode, owner, size, time, path. Lists the root without PATH, and\n' +
    'the content of a directory. --json prints one object per line.',
  words: [1, 2],
  options: {
    platform: platformOption,
    recursive: { type: 'boolean', short: 'R', help: 'also list directories inside, at any depth' },
    ...fileOptions,
  },
  examples: [
    ['ocifetch ls alpine /etc', 'a directory of an image'],
    ['ocifetch ls -R --json alpine | jq -r "select(.mode >= 2048).path"', 'programs that run as their owner (setuid)'],
  ],
  jsonLines: true,
  run: async (given, io) => {
    const [text = '', path = ''] = given.words;
    const { signal } = io;
    const print = given.flags.has('json') ? printJson : printLine;
    await withClient(given, io, async (client) => {
      const files = await client.files(text, { signal, platform: given.texts.platform });
      try {
        const entries: FileEntry[] = [];
        for await (const entry of files.list(path, { signal })) entries.push(entry);
        const base = baseOf(path, entries);
        for (const entry of entries) {
          if (given.flags.has('recursive') || isDirectlyIn(entry, base)) await print(entry, io);
        }
      } finally {
        await files.close();
      }
    });
    return exitCodes.ok;
  },
};

/**
 * The path of what is listed, with links followed: the first entry, if all others are below it; empty for the root. If an
 * image has a single directory, it looks the same as the root, and the argument decides.
 */
function baseOf(path: string, [first, ...others]: readonly FileEntry[]): string {
  if (!first || first.type === 'symlink' || !others.every((other) => other.path.startsWith(`${first.path}/`)))
    return '';
  const [name = first.path] = path.split('/').filter((part) => !/^\.{0,2}$/.test(part));
  return posix.normalize(`/${path}`) === '/' && name === first.path ? '' : first.path;
}

/** Whether an entry is directly in the listed directory, or is the listed file; false for the directory itself. */
function isDirectlyIn({ path, type }: FileEntry, base: string): boolean {
  if (path === base) return type !== 'directory';
  return !path.slice(base === '' ? 0 : base.length + 1).includes('/');
}

const printJson = (entry: FileEntry, io: Io): Promise<void> => send(io.stdout, `${jsonText(entry)}\n`);

const printLine = (entry: FileEntry, io: Io): Promise<void> => send(io.stdout, `${fileLine(entry)}\n`);

const letters: Readonly<Record<FileEntry['type'], string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  hardlink: 'h',
  'character-device': 'c',
  'block-device': 'b',
  fifo: 'p',
};

/** As `tar -tv` prints it: `-rw-r--r-- 0/0  1234 2024-05-01 12:00 etc/passwd`. */
function fileLine(entry: FileEntry): string {
  const { type, mode, uid, gid, size, modified, path, linkPath } = entry;
  const arrow = type === 'hardlink' ? ' link to ' : ' -> ';
  const isDevice = type === 'character-device' || type === 'block-device';
  const extent = isDevice ? `${entry.deviceMajor ?? 0},${entry.deviceMinor ?? 0}` : String(size);
  return [
    `${letters[type]}${modeText(mode)}`,
    `${uid}/${gid}`.padEnd(7),
    extent.padStart(10),
    modified.toISOString().slice(0, 16).replace('T', ' '),
    `${escaped(path) || '.'}${linkPath === undefined ? '' : `${arrow}${escaped(linkPath)}`}`,
  ].join(' ');
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['\t', '\\t'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\\', '\\\\'],
]);

/**
 * A name without characters that a terminal acts on; different names stay different: `\n`, `\\`, `\u{1b}`. Bytes that are
 * not UTF-8 (`\xff`) stay as the path has them.
 */
const escaped = (name: string): string =>
  name.replace(/\\x(?:5c|[89a-f][0-9a-f])|[\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character.startsWith('\\x') ? character : (escapes.get(character) ?? escapedPoint(character)),
  );

/** `rwxr-xr-x`, with setuid, setgid and sticky bits if set. */
function modeText(mode: number): string {
  const bits = [0o400, 0o200, 0o100, 0o40, 0o20, 0o10, 0o4, 0o2, 0o1];
  const text = bits.map((bit, index) => (mode & bit ? ('rwx'[index % 3] ?? '') : '-'));
  const special = [
    { bit: 0o4000, at: 2, letter: 's' },
    { bit: 0o2000, at: 5, letter: 's' },
    { bit: 0o1000, at: 8, letter: 't' },
  ];
  for (const { bit, at, letter } of special) {
    if (mode & bit) text[at] = text[at] === 'x' ? letter : letter.toUpperCase();
  }
  return text.join('');
}
