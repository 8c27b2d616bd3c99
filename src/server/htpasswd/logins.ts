import { createHmac, randomBytes } from 'node:crypto';
import { remember } from '../../bounded-map.ts';
import { cannot } from '../../errors.ts';
import type { BasicLogin } from '../access/credentials.ts';

/** What compares a password with a hash, and for how long its answers hold. */
export interface LoginsOptions {
  readonly compare: (password: string, hash: string) => Promise<boolean>;
  /** Milliseconds for which a right login is not compared again. */
  readonly remembered: number;
  /** Milliseconds. Default: those since the process began. */
  readonly now?: (() => number) | undefined;
}

/** Milliseconds for which a wrong login is known to be wrong, and wrong ones of a user from an address are counted. */
const wrongTime = 60_000;
/** Wrong logins of a user from an address in that time; then others wait, right or wrong. */
const mostWrong = 10;
/** Logins that are remembered, right and wrong ones each. */
const mostRemembered = 10_000;
/** Comparisons that wait for the one thread, in all and of one address. */
const mostWaiting = 32;
const mostOfAddress = 8;
/** Bytes of a name and a password. bcrypt itself looks at no more than 72 bytes of a password. */
const mostBytes = 1_024;

/** Checks a login against a hash, as seldom as possible. `RATE_LIMITED` if too many wait, or were wrong. */
export type CheckHash = (login: BasicLogin, hash: string, address?: string) => Promise<boolean>;

/**
 * Comparisons are expensive on purpose: what was right is remembered, equal ones at a time are one, and what an address can have
 * compared is bounded. Of passwords only an HMAC with a key of this process is kept; a changed hash is another login.
 */
export function createLogins({ compare, remembered, now = () => performance.now() }: LoginsOptions): CheckHash {
  const secret = randomBytes(32);
  const right = new Map<string, number>();
  const wrong = new Map<string, number>();
  const failures = new Map<string, { readonly count: number; readonly end: number }>();
  const underWay = new Map<string, Promise<boolean>>();
  const waitingOf = new Map<string, number>();
  let waiting = 0;
  const failuresOf = (place: string): { readonly count: number; readonly end: number } => {
    const known = failures.get(place);
    return known && known.end > now() ? known : { count: 0, end: now() + wrongTime };
  };
  const isValid = (known: ReadonlyMap<string, number>, key: string): boolean => (known.get(key) ?? 0) > now();

  const compared = async (password: string, hash: string, address: string): Promise<boolean> => {
    const own = waitingOf.get(address) ?? 0;
    if (waiting >= mostWaiting || own >= mostOfAddress) throw tooMany(1_000);
    waiting += 1;
    waitingOf.set(address, own + 1);
    try {
      return await compare(password, hash);
    } finally {
      waiting -= 1;
      const left = (waitingOf.get(address) ?? 1) - 1;
      if (left > 0) waitingOf.set(address, left);
      else waitingOf.delete(address);
    }
  };

  return async ({ username, password }, hash, from = '') => {
    if (Buffer.byteLength(password) > mostBytes || Buffer.byteLength(username) > mostBytes) return false;
    const key = createHmac('sha256', secret)
      .update(JSON.stringify([username, hash, password]))
      .digest('base64');
    if (isValid(right, key)) return true;
    if (isValid(wrong, key)) return false;
    const address = networkOf(from);
    const place = JSON.stringify([address, username]);
    const failed = failuresOf(place);
    if (failed.count >= mostWrong) throw tooMany(failed.end - now());
    const check = async (): Promise<boolean> => {
      const isRight = await compared(password, hash, address);
      if (isRight) remember(right, key, now() + remembered, mostRemembered);
      else {
        const { count, end } = failuresOf(place);
        remember(failures, place, { count: count + 1, end }, mostRemembered);
        remember(wrong, key, now() + wrongTime, mostRemembered);
      }
      return isRight;
    };
    const pending = underWay.get(key) ?? check().finally(() => underWay.delete(key));
    underWay.set(key, pending);
    return pending;
  };
}

/** The first half of an IPv6 address: a client may have as many of the others as it likes. */
const networkOf = (address: string): string =>
  address.includes(':') && !address.includes('.') ? address.split(':').slice(0, 4).join(':') : address;

const tooMany = (retryAfter: number) =>
  cannot('RATE_LIMITED', 'check a login', 'too many have to be checked', { retryAfter });
