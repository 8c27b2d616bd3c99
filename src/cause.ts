import { oneLine, redact, safeText } from './redaction.ts';

/** What errors of the system and of TLS say besides their message. All else may hold bytes of a response, or a certificate. */
const facts = new Set([
  'code',
  'errno',
  'syscall',
  'path',
  'dest',
  'address',
  'port',
  'hostname',
  'host',
  'reason',
  'library',
  'function',
]);
const own = new Set(['name', 'message', 'stack', 'cause', 'errors']);

/** Causes of causes that are kept. */
const deepest = 8;

/**
 * The cause of an error as it may be printed with everything in it: the same object if there is nothing to remove, else
 * an error with its name, its message without secrets, and the facts of a system error. `isOurs` says which errors are safe.
 */
export function safeCause(thrown: unknown, isOurs: (thrown: object) => boolean, depth = 0): unknown {
  if (typeof thrown === 'string') return safeText(thrown);
  if ((typeof thrown !== 'object' && typeof thrown !== 'function') || thrown === null || isOurs(thrown)) return thrown;
  if (depth > deepest) return undefined;
  const { name, message, cause, errors } = thrown as Partial<AggregateError>;
  const inner = safeCause(cause, isOurs, depth + 1);
  const several = Array.isArray(errors) ? errors.map((one: unknown) => safeCause(one, isOurs, depth + 1)) : undefined;
  const words = wordsOf(String(name ?? ''), String(message ?? ''));
  const isSame =
    words === String(message ?? '') &&
    inner === cause &&
    several?.every((one, index) => one === (errors as unknown[])[index]) !== false &&
    Reflect.ownKeys(thrown).every((key) => own.has(String(key)) || isSafeFact(thrown, key));
  if (isSame) return thrown;
  // Only now, as the runtime writes it when it is first read.
  const { stack } = thrown as Partial<Error>;
  const copy = several ? new AggregateError(several, words) : new Error(words);
  if (inner !== undefined) Object.defineProperty(copy, 'cause', { value: inner, configurable: true, writable: true });
  const kept = Reflect.ownKeys(thrown).filter((key) => isFact(thrown, key));
  const values = kept.map((key) => [key, safeFact(Reflect.get(thrown, key))]);
  Object.defineProperty(copy, 'name', { value: safeText(String(name ?? 'Error')), configurable: true, writable: true });
  Object.defineProperty(copy, 'stack', {
    value: [`${copy.name}: ${words}`, ...framesOf(String(stack ?? ''))].join('\n'),
    configurable: true,
    writable: true,
  });
  return Object.assign(copy, Object.fromEntries(values));
}

function isFact(thrown: object, key: string | symbol): boolean {
  if (typeof key !== 'string' || !facts.has(key)) return false;
  const value: unknown = Reflect.get(thrown, key);
  return typeof value === 'number' || typeof value === 'string';
}

const isSafeFact = (thrown: object, key: string | symbol): boolean =>
  isFact(thrown, key) && safeFact(Reflect.get(thrown, key)) === Reflect.get(thrown, key);

const safeFact = (value: unknown): unknown => (typeof value === 'string' ? safeText(value) : value);

/** A parser's message quotes what it parsed. */
const wordsOf = (name: string, message: string): string =>
  name === 'SyntaxError' ? 'the text cannot be parsed' : safeText(message);

/** Where it was thrown: the lines at the end of a stack. */
const framesOf = (stack: string): string[] => {
  const lines = stack.split('\n');
  const first = lines.findLastIndex((line) => !/^ {4}at /.test(line)) + 1;
  return lines.slice(first).map((line) => `    ${oneLine(redact(line)).trim()}`);
};
