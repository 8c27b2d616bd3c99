import { type ErrorCode, type ErrorDetails, RegistryError } from 'ocifetch';
import { expect, test } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import { reportFailure } from '../../src/cli/failure.ts';
import { parseLine } from '../../src/cli/parse.ts';

/** What is printed about a failure of a command line, and its exit code. */
async function reported(line: string, error: Error) {
  const printed = { out: '', err: '' };
  const io = {
    stdout: { write: (text: string | Uint8Array) => (printed.out += text) },
    stderr: { write: (text: string | Uint8Array) => (printed.err += text) },
    environment: {},
  };
  const parsed = await parseLine(line.split(' '), commands);
  const isJson = parsed.given.flags.has('json');
  const exit = reportFailure(error, io, { isJson, ...parsed });
  return { ...printed, exit };
}

/** An error of the library about platforms; the message has the library's own advice. */
function platformError(wanted: string, found: string, platforms: readonly string[], suggestion?: string) {
  const attempted = `choose an image of "a" for ${wanted}`;
  const advice = suggestion === undefined ? 'choose one with platform' : `platform "${suggestion}" would do`;
  const message = `Cannot ${attempted}: ${found}; ${advice}`;
  return new RegistryError('NOT_FOUND', message, { attempted, found, reason: 'platform', platforms, suggestion });
}

const wanted = 'linux/s390x';
const some = platformError(wanted, 'there are linux/amd64, linux/arm64', ['linux/amd64', 'linux/arm64']);
const none = platformError(wanted, 'there is none', []);
const one = platformError(wanted, 'it is one image, for linux/amd64', ['linux/amd64']);
const mac = platformError('darwin/arm64', 'there is linux/arm64', ['linux/arm64'], 'linux');

/** A command line, the library's error, and the advice in place of the library's. */
const platforms: readonly [line: string, error: RegistryError, advice: string][] = [
  ['pull a b', some, '. Choose one with --platform. "--platform all" takes all of it.'],
  ['pull --platform linux/s390x a b', some, '. "--platform all" takes all of it.'],
  ['ls a', some, '. Choose one with --platform.'],
  ['cat --platform linux/s390x a b', some, ''],
  ['pull a b', none, '. "--platform all" takes all of it.'],
  ['config a', none, '. Name one by its digest: "ocifetch manifest" prints the index.'],
  ['pull --platform linux/s390x a b', one, '. "--platform all" takes all of it.'],
  ['ls --platform linux/s390x a', one, ''],
  ['pull a b', mac, '. Or use "--platform linux". "--platform all" takes all of it.'],
  ['manifest --platform darwin/arm64 a', mac, '. Or use "--platform linux".'],
];

test.each(platforms)('%s: the advice about "%s" is what that command can do', async (line, error, advice) => {
  const { err, exit } = await reported(line, error);
  expect(err).toBe(`ocifetch: Cannot ${error.attempted}: ${error.found}${advice}\n`);
  expect(exit).toBe(4);
});

const isLimit = 'This is a limit of ocifetch; no host is to blame.';
const isWrong = 'The image itself is wrong, whichever host serves it: have it built again.';

/** An error's code and details, and the advice. */
const advices: readonly [code: ErrorCode, details: ErrorDetails, advice: string | undefined][] = [
  ['TOO_LARGE', { reason: 'limit' }, isLimit],
  [
    'UNSAFE_URL',
    { reason: 'private-address' },
    'If that host is one of yours, allow it: --allow-private HOST (or .domain, an address, a CIDR block), or allowPrivate in the configuration.',
  ],
  ['UNSAFE_URL', {}, undefined],
  [
    'UNAUTHORIZED',
    { reason: 'no-login' },
    'No login was sent: log in, or correct the name. Run "ocifetch doctor" with the reference: it shows where a login is looked up.',
  ],
  [
    'DENIED',
    { reason: 'login-refused' },
    'The login that was sent is refused, or has no access: log in again, or request access. Run "ocifetch doctor" with the reference: it shows which login it was.',
  ],
  [
    'UNAUTHORIZED',
    { reason: 'login-withheld' },
    'The host redirects from http to https, where no login is sent: write https:// in its URL.',
  ],
  [
    'INVALID_CONFIG',
    { helper: { program: 'docker-credential-x', found: 'there is no such program on PATH', isMissing: true } },
    'docker-credential-x is not on PATH: install it, or remove it from the file that names it.',
  ],
  [
    'TIMEOUT',
    { helper: { program: 'docker-credential-x', found: 'no answer in 30000 ms', isMissing: false } },
    'Run docker-credential-x yourself, or remove it from the file that names it: it failed with no answer in 30000 ms.',
  ],
  ['TOO_LARGE', { reason: 'limit', limit: 'limits.pages' }, isLimit],
  ['TOO_LARGE', {}, 'Have the cache of the named host emptied, or remove it from the configuration.'],
  ['BAD_RESPONSE', { reason: 'size-conflict' }, isWrong],
  ['DIGEST_MISMATCH', { reason: 'inconsistent-image' }, isWrong],
  ['BAD_RESPONSE', { reason: 'invalid-document' }, isWrong],
  ['BAD_RESPONSE', { reason: 'not-a-manifest' }, '"ocifetch get" prints blobs.'],
  ['TIMEOUT', { reason: 'too-slow' }, 'Run it again, and a pull resumes; a mirror that is nearer helps.'],
  [
    'TIMEOUT',
    { reason: 'unread' },
    'This is an error of ocifetch itself: please report it. Running it again may help.',
  ],
  ['STORE_ERROR', { reason: 'layout-in-use' }, 'Wait until that process is done, then run it again.'],
  ['STORE_ERROR', {}, 'Fix that, then run the same command again.'],
  ['NOT_FOUND', {}, 'Run "ocifetch doctor" with the reference: it shows what each host says.'],
  ['NOT_FOUND', { reason: 'path' }, undefined],
  ['INVALID_CONFIG', {}, 'Run "ocifetch config check" on the file.'],
  ['INVALID_CONFIG', { reason: 'unreadable' }, undefined],
  ['INVALID_CONFIG', { reason: 'environment' }, undefined],
  ['INVALID_REFERENCE', { reason: 'invalid-platform' }, undefined],
  ['INVALID_REFERENCE', { reason: 'invalid-name' }, undefined],
];

test.each(advices)(
  '%s, %j: the advice follows from the fields, whatever the message',
  async (code, details, advice) => {
    const { err } = await reported('manifest a', new RegistryError(code, 'It failed', details));
    expect(err).toBe(advice === undefined ? 'ocifetch: It failed\n' : `ocifetch: It failed. ${advice}\n`);
  },
);

test('a command for a directory is given no advice about hosts', async () => {
  for (const code of ['NOT_FOUND', 'BAD_RESPONSE', 'DIGEST_MISMATCH', 'TOO_LARGE'] as const) {
    const { err } = await reported('verify a', new RegistryError(code, 'It failed'));
    expect(err).toBe('ocifetch: It failed\n');
  }
  const { err } = await reported('gc a', new RegistryError('STORE_ERROR', 'It failed'));
  expect(err).toBe('ocifetch: It failed. Fix that, then run the same command again.\n');
});

test('an error as JSON has the message of the library, on one line for commands that print lines', async () => {
  const failure = { error: { code: 'NOT_FOUND', message: some.message } };
  expect((await reported('pull --json a b', some)).out).toBe(`${JSON.stringify(failure)}\n`);
  expect((await reported('config --json a', some)).out).toBe(`${JSON.stringify(failure, undefined, 2)}\n`);
});

test('with DEBUG the stack is printed, whose message forges no line and reaches no terminal', () => {
  let printed = '';
  const sink = {
    write: (text: string | Uint8Array) => {
      printed += String(text);
    },
  };
  const hostile = 'broken\n    at forged (\u001b[31m\u009b\u202e)\r';
  const inner = new AggregateError([new Error(`one ${hostile}`), `two ${hostile}`], `both ${hostile}`);
  const error = new Error(hostile, { cause: new Error(`cause ${hostile}`, { cause: inner }) });
  reportFailure(error, { stdout: sink, stderr: sink, environment: { DEBUG: '1' } }, { isJson: false });
  expect(printed).toMatch(/\n {4}at .*failure\.test/);
  const stack = printed.slice(printed.indexOf('Error: broken'));
  expect(stack.split('\n')[0]).toContain('forged');
  const causes = stack.split('\n').filter((line) => line.startsWith('caused by '));
  expect(causes.map((line) => line.replace(/ broken {5}at forged \(.*\)$/, ''))).toEqual([
    'caused by Error: cause',
    'caused by AggregateError: both',
    'caused by Error: one',
    'caused by two',
  ]);
  expect(stack.split('\n').filter((line) => line.startsWith('    at forged'))).toEqual([]);
  expect(stack).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
});

test('a current directory that was removed is named as that, and the exit code is 9', async () => {
  const raw = Object.assign(new Error('ENOENT: no such file or directory, uv_cwd'), {
    code: 'ENOENT',
    syscall: 'uv_cwd',
  });
  expect(await reported('config a', raw)).toMatchObject({
    exit: 9,
    err: 'ocifetch: Cannot find the current directory: it no longer exists. Run it in another one.\n',
  });
});
