import type { ErrorCode } from '../index.ts';

const doctor = (tells: string): string => `Run "ocifetch doctor" with the reference: it tells ${tells}.`;
const wrongBytes = 'Have the cache of the host that is named emptied, or leave the host out of the configuration.';
const tooLarge = 'No more of such a document is read; the host is not to blame.';

/** What to try next. */
const hints: Partial<Readonly<Record<ErrorCode, string>>> = {
  INVALID_REFERENCE: 'A reference is [HOST[:PORT]/]NAME[:TAG][@DIGEST], such as docker.io/library/alpine:3.20.',
  INVALID_DIGEST: 'A digest is sha256: and 64 hex digits, or sha512: and 128.',
  INVALID_CONFIG: 'Run "ocifetch config check" on the file.',
  NO_HOSTS: 'Run "ocifetch plan" with the reference: it tells which line of which file leaves each host out.',
  NOT_FOUND: doctor('what each host says'),
  UNAUTHORIZED: doctor('which host wants which login'),
  DENIED: doctor('which login each host is given'),
  UNAVAILABLE: doctor('how far each host can be reached'),
  TIMEOUT: doctor('how far each host can be reached'),
  RATE_LIMITED: 'Wait and run it again, log in, or put a mirror before the host.',
  BAD_RESPONSE: doctor('what answers there'),
  UNEXPECTED_END: 'Run it again; if it breaks off again, "ocifetch doctor" with the reference tells of each host.',
  DIGEST_MISMATCH: wrongBytes,
  TOO_LARGE: wrongBytes,
  STORE_ERROR: 'Mend that, and run the same command again.',
};

/** Other advice, by what the message says: beginnings of it, and what is tried next where anything can be. */
const exceptions: readonly (readonly [RegExp, string?])[] = [
  [/somebody is writing into it$/, 'Wait until that is done, and run it again.'],
  [
    /Cannot use the data of "| comes again in it\b/,
    'The image itself is wrong, whoever serves it: have it built anew.',
  ],
  [/the manifest "[^"]*": more than \d+ bytes|: \d+ bytes, at most \d+/, tooLarge],
  [/^Cannot read manifest "[^"]*": it is a blob/, '"ocifetch get" prints blobs.'],
  [/^Cannot write file /],
  // A path in an image, of which the message has the nearest.
  [/^Cannot find /],
  // There is nothing to check in a file that cannot be read, nor in the environment.
  [/^Cannot (?:read config file|use the environment's) /],
  // They say what is expected.
  [/^Cannot (?:parse|use) platform |^Cannot use name /],
  // A limit, of lists or of files, which no host is to blame for.
  [/the limit "limits\.pages"|^Cannot list the files of /],
];

/** What a command line said that the advice depends on. */
interface Said {
  readonly command: string | undefined;
  readonly platform: string | undefined;
}

/** A message, without the advice of the library where the command line has its own, and what to try next. */
export function hinted(code: string, message: string, said: Said): { readonly text: string; readonly hint?: string } {
  if (code === 'USAGE') return message.includes('--help"') ? { text: message } : { text: message, hint: usageHint };
  if (message.startsWith('Cannot choose an image of ')) {
    const text = message.replace(/; (?:choose one with platform|platform "linux" would do)$/, '');
    return { text, ...platformHint(message, said) };
  }
  const exception = exceptions.find(([words]) => words.test(message));
  const hint = exception ? exception[1] : hints[code as ErrorCode];
  return { text: message, ...(hint !== undefined && { hint }) };
}

const usageHint = 'See "ocifetch --help".';

/** Where an index has no image for a platform. Only `pull` takes all of them, and who named one knows how to. */
function platformHint(message: string, { command, platform }: Said): { readonly hint?: string } {
  const isEmpty = message.endsWith(': there is none');
  const linux = message.endsWith('"linux" would do') ? 'Or say "--platform linux".' : undefined;
  const other = linux ?? (platform === undefined && !isEmpty ? 'Name one with --platform.' : undefined);
  const all = / it is one image, for [^"]*$/.test(message) ? 'takes it as it is' : 'takes the whole index';
  const rest = command === 'pull' ? `"--platform all" ${all}.` : undefined;
  const byDigest = isEmpty && !rest ? 'Name one by its digest: "ocifetch manifest" prints the index.' : undefined;
  const hint = [other, rest, byDigest].filter((part) => part !== undefined).join(' ');
  return hint === '' ? {} : { hint };
}
