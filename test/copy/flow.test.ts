import fc from 'fast-check';
import { expect, test } from 'vitest';
import { admitByFlow, admitMost, requestsAtATime } from '../../src/copy/flow.ts';

const mebibyte = 1_048_576;

/** An admission, and what it measures. */
function measured() {
  const state = { time: 0, copied: 0 };
  const flow = admitByFlow(
    () => state.copied,
    () => state.time,
  );
  /** So many milliseconds at a speed, of which each 25 ms something asks. */
  const run = (milliseconds: number, bytesPerSecond: number) => {
    for (let passed = 0; passed < milliseconds; passed += 25) {
      state.time += 25;
      state.copied += bytesPerSecond / 40;
      if (flow.enter(2 * mebibyte)) flow.leave(2 * mebibyte);
    }
  };
  const enterAll = (size: number, most = 200): number => {
    let count = 0;
    while (count < most && flow.enter(size)) count += 1;
    return count;
  };
  return { flow, state, run, enterAll };
}

test('four large contents are copied at a time, before anything is known and over a fast network', () => {
  const { enterAll, run } = measured();
  expect(enterAll(80 * mebibyte)).toBe(4);
  run(2_000, 400 * mebibyte);
  expect(enterAll(80 * mebibyte)).toBe(0);
});

test('six are if each of them comes slowly, and no more when it becomes fast', () => {
  const { flow, enterAll, run } = measured();
  expect(enterAll(80 * mebibyte)).toBe(4);
  run(50, 0);
  expect(enterAll(80 * mebibyte)).toBe(0);
  run(150, 0);
  expect(enterAll(80 * mebibyte)).toBe(2);
  for (let left = 0; left < 2; left += 1) flow.leave(80 * mebibyte);
  run(2_000, 400 * mebibyte);
  expect(enterAll(80 * mebibyte)).toBe(0);
});

test('64 small contents are, also beside large ones', () => {
  expect(measured().enterAll(4_096)).toBe(64);
  const { enterAll } = measured();
  expect(enterAll(80 * mebibyte)).toBe(4);
  expect(enterAll(4_096)).toBe(60);
});

test('their bytes are bounded by 8 MiB, or by what comes in a second', () => {
  const { flow, run, enterAll } = measured();
  expect(enterAll(mebibyte)).toBe(8);
  run(2_000, 20 * mebibyte);
  expect(enterAll(mebibyte)).toBe(12);
  for (let left = 0; left < 20; left += 1) flow.leave(mebibyte);
  run(2_000, 0);
  expect(enterAll(mebibyte)).toBe(8);
});

test('whatever comes and leaves, no more than the bounds are under way, and there is always room for four', () => {
  const sizes = fc.constantFrom(0, 4_096, 100_000, mebibyte, mebibyte + 1, 80 * mebibyte);
  const step = fc.record({ size: sizes, leaves: fc.boolean(), time: fc.nat(300), bytes: fc.nat(100 * mebibyte) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { flow, state } = measured();
      const running: number[] = [];
      for (const { size, leaves, time, bytes } of steps) {
        state.time += time;
        state.copied += bytes;
        const first = leaves ? running.shift() : undefined;
        if (first !== undefined) flow.leave(first);
        const isAdmitted = flow.enter(size);
        if (running.length < 4) expect(isAdmitted).toBe(true);
        if (isAdmitted) running.push(size);
        expect(running.length).toBeLessThanOrEqual(64);
        expect(running.filter((one) => one > mebibyte).length).toBeLessThanOrEqual(6);
      }
    }),
  );
});

test('the number that a user sets is the bound for all sizes', () => {
  const admission = admitMost(2);
  expect([admission.enter(1), admission.enter(80 * mebibyte), admission.enter(1)]).toEqual([true, true, false]);
  admission.leave(1);
  expect(admission.enter(1)).toBe(true);
});

test('a host is asked for as many small contents at a time as are copied, and for no more large ones than others', () => {
  expect(requestsAtATime(4_096)).toBe(64);
  expect(requestsAtATime(mebibyte + 1)).toBeUndefined();
});
