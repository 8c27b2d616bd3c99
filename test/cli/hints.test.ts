import { type ErrorCode, RegistryError } from 'ocifetch';
import { expect, test } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import { tellFailure } from '../../src/cli/failure.ts';
import { parseLine } from '../../src/cli/parse.ts';

/** What is told of a failure of a command line, and its exit code. */
async function told(line: string, code: ErrorCode, message: string) {
  const printed = { out: '', err: '' };
  const io = {
    stdout: { write: (text: string | Uint8Array) => (printed.out += text) },
    stderr: { write: (text: string | Uint8Array) => (printed.err += text) },
    environment: {},
  };
  const read = await parseLine(line.split(' '), commands);
  const isJson = read.given.flags.has('json');
  const exit = tellFailure(new RegistryError(code, message), io, { isJson, ...read });
  return { ...printed, exit };
}

const some =
  'Cannot choose an image of "a" for linux/s390x: there are linux/amd64, linux/arm64; choose one with platform';
const none = 'Cannot choose an image of "a" for linux/s390x: there is none';
const one = 'Cannot choose an image of "a" for linux/s390x: it is one image, for linux/amd64; choose one with platform';
const mac = 'Cannot choose an image of "a" for darwin/arm64: there is linux/arm64; platform "linux" would do';

/** A command line, what the library says, and what is told behind it, or in place of its own advice. */
const platforms: readonly [line: string, message: string, advice: string][] = [
  ['pull a b', some, '. Name one with --platform. "--platform all" takes the whole index.'],
  ['pull --platform linux/s390x a b', some, '. "--platform all" takes the whole index.'],
  ['ls a', some, '. Name one with --platform.'],
  ['cat --platform linux/s390x a b', some, ''],
  ['pull a b', none, '. "--platform all" takes the whole index.'],
  ['config a', none, '. Name one by its digest: "ocifetch manifest" prints the index.'],
  ['pull --platform linux/s390x a b', one, '. "--platform all" takes it as it is.'],
  ['ls --platform linux/s390x a', one, ''],
  ['pull a b', mac, '. Or say "--platform linux". "--platform all" takes the whole index.'],
  ['manifest --platform darwin/arm64 a', mac, '. Or say "--platform linux".'],
];

test.each(platforms)('%s: of "%s" the advice is what that command takes', async (line, message, advice) => {
  const { err, exit } = await told(line, 'NOT_FOUND', message);
  expect(err).toBe(`ocifetch: ${message.replace(/; .*$/, '')}${advice}\n`);
  expect(exit).toBe(4);
});

const digest = `sha256:${'0'.repeat(64)}`;

test.each([
  [
    'pull a b',
    'TOO_LARGE',
    'Cannot read the manifest "latest": more than 4194304 bytes (localhost:1)',
    'No more of such a document is read; the host is not to blame.',
  ],
  [
    'config a',
    'TOO_LARGE',
    `Cannot read "${digest}": 5000000 bytes, at most 4194304`,
    'No more of such a document is read; the host is not to blame.',
  ],
  [
    'pull a b',
    'TOO_LARGE',
    `Cannot read "${digest}": the host sent more than its 5 bytes`,
    'Have the cache of the host that is named emptied, or leave the host out of the configuration.',
  ],
  [
    'pull a b',
    'DIGEST_MISMATCH',
    `Cannot copy "a": layer 1 of 1: Cannot use the data of "${digest}": its digest is ${digest}; status 404`,
    'The image itself is wrong, whoever serves it: have it built anew.',
  ],
  [
    'gc a',
    'STORE_ERROR',
    'Cannot collect garbage in "a": somebody is writing into it',
    'Wait until that is done, and run it again.',
  ],
] as const)('%s, %s: "%s"', async (line, code, message, advice) => {
  expect((await told(line, code, message)).err).toBe(`ocifetch: ${message}. ${advice}\n`);
});

test('a failure as JSON has the words of the library, on one line after others', async () => {
  const failure = { error: { code: 'NOT_FOUND', message: some } };
  expect((await told('pull --json a b', 'NOT_FOUND', some)).out).toBe(`${JSON.stringify(failure)}\n`);
  expect((await told('config --json a', 'NOT_FOUND', some)).out).toBe(`${JSON.stringify(failure, undefined, 2)}\n`);
});
