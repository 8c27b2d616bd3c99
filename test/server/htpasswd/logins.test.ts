import { expect, test } from 'vitest';
import { createLogins } from '../../../src/server/htpasswd/logins.ts';

/** Logins whose hash is their password, compared when the test says so, at a time that the test sets. */
function logins() {
  const clock = { now: 0 };
  const compared: string[] = [];
  const open: (() => void)[] = [];
  let isHeld = false;
  const check = createLogins({
    compare: async (password, hash) => {
      compared.push(password);
      if (isHeld) await new Promise<void>((resolve) => open.push(resolve));
      return password === hash;
    },
    remembered: 1_000,
    now: () => clock.now,
  });
  return {
    clock,
    compared,
    hold: () => {
      isHeld = true;
    },
    release: () => {
      isHeld = false;
      for (const resolve of open.splice(0)) resolve();
    },
    check: (username: string, password: string, { hash = 'right', from = '10.0.0.1' } = {}) =>
      check({ username, password }, hash, from),
  };
}

const limited = expect.objectContaining({ code: 'RATE_LIMITED' });

test('a right login is compared once in its time, a wrong one once in a minute', async () => {
  const { check, clock, compared } = logins();
  expect([await check('ann', 'right'), await check('ann', 'right')]).toEqual([true, true]);
  expect([await check('ann', 'wrong'), await check('ann', 'wrong')]).toEqual([false, false]);
  expect(compared).toEqual(['right', 'wrong']);
  clock.now = 1_000;
  expect([await check('ann', 'right'), await check('ann', 'wrong')]).toEqual([true, false]);
  clock.now = 60_000;
  expect(await check('ann', 'wrong')).toBe(false);
  expect(compared).toEqual(['right', 'wrong', 'right', 'wrong']);
});

test('another hash, and another name, are another login', async () => {
  const { check, compared } = logins();
  expect(await check('ann', 'right')).toBe(true);
  expect(await check('ann', 'right', { hash: 'changed' })).toBe(false);
  expect(await check('bob', 'right')).toBe(true);
  expect(compared).toEqual(['right', 'right', 'right']);
});

test('equal logins at a time are one comparison', async () => {
  const { check, compared, hold, release } = logins();
  hold();
  const all = Promise.all(Array.from({ length: 50 }, () => check('ann', 'right')));
  release();
  expect(new Set(await all)).toEqual(new Set([true]));
  expect(compared).toEqual(['right']);
});

test('an address may have eight wait, all addresses 32; others are refused at once, known ones are not', async () => {
  const { check, compared, hold, release } = logins();
  await check('ann', 'right');
  hold();
  const waiting: Promise<boolean>[] = [];
  for (let address = 0; address < 4; address++)
    for (let count = 0; count < 8; count++)
      waiting.push(check(`user${address}`, `wrong${count}`, { from: `10.0.0.${address}` }));
  await expect(check('ann', 'wrong', { from: '10.0.0.0' })).rejects.toEqual(limited);
  await expect(check('ann', 'wrong', { from: '10.0.9.9' })).rejects.toEqual(limited);
  expect(await check('ann', 'right')).toBe(true);
  release();
  expect(new Set(await Promise.all(waiting))).toEqual(new Set([false]));
  expect(compared).toHaveLength(33);
  expect(await check('ann', 'wrong', { from: '10.0.9.9' })).toBe(false);
});

test('after ten wrong logins of a user from an address, others have to wait out the minute', async () => {
  const { check, clock, compared } = logins();
  for (let count = 0; count < 10; count++) expect(await check('ann', `wrong${count}`)).toBe(false);
  await expect(check('ann', 'right')).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfter: 60_000 });
  expect(await check('ann', 'right', { from: '10.0.0.2' })).toBe(true);
  expect(await check('ann', 'wrong9')).toBe(false);
  expect(compared).toHaveLength(11);
  clock.now = 60_000;
  expect(await check('ann', 'right')).toBe(true);
});

test('addresses of one IPv6 network are one', async () => {
  const { check } = logins();
  for (let count = 0; count < 10; count++) await check('ann', `wrong${count}`, { from: `2001:db8:1:2::${count}` });
  await expect(check('ann', 'right', { from: '2001:db8:1:2:3:4:5:6' })).rejects.toEqual(limited);
  expect(await check('ann', 'right', { from: '2001:db8:1:3::1' })).toBe(true);
});

test('names and passwords beyond a KiB are wrong without a comparison', async () => {
  const { check, compared } = logins();
  const long = 'x'.repeat(1_025);
  expect([await check(long, 'right'), await check('ann', long, { hash: long })]).toEqual([false, false]);
  expect(compared).toEqual([]);
});

test('a comparison that fails is not remembered', async () => {
  let calls = 0;
  const check = createLogins({
    compare: async () => {
      calls += 1;
      if (calls === 1) throw new Error('ended');
      return true;
    },
    remembered: 1_000,
  });
  const login = { username: 'ann', password: 'a' };
  await expect(check(login, 'hash')).rejects.toThrow('ended');
  expect(await check(login, 'hash')).toBe(true);
});
