import { expect, test } from 'vitest';
import { createSplitPace } from '../../src/content/split-pace.ts';

const mebibyte = 1_048_576;

/** A pace on a clock of its own, over connections that bring what `speedOf` says of their number, in bytes per second. */
function simulated(most = 12, isForced = false) {
  let time = 0;
  const pace = createSplitPace({ most, isForced, now: () => time });
  const run = (
    milliseconds: number,
    speedOf: (connections: number) => number,
    { room = most, held = 0 }: { room?: number; held?: number } = {},
  ): number[] => {
    const seen: number[] = [];
    for (let passed = 0; passed < milliseconds; passed += 10) {
      time += 10;
      const open = Math.min(pace.connections, room);
      pace.held(held * 10);
      pace.came(speedOf(open) / 100, open, open < pace.connections || open === room);
      if (seen.at(-1) !== pace.connections) seen.push(pace.connections);
    }
    return seen;
  };
  return { pace, run };
}

test('where each connection is capped, more are opened until there are as many as allowed', () => {
  const { run, pace } = simulated();
  expect(run(2_000, (connections) => connections * 20 * mebibyte, { room: 100 })).toEqual([1, 4, 12]);
  expect(Math.round((pace.speed ?? 0) / mebibyte)).toBe(20);
});

test('where the link is what is slow, more are tried, do not stay, and are tried again only after a while', () => {
  const { run } = simulated();
  expect(run(3_000, () => 20 * mebibyte, { room: 100 })).toEqual([1, 4, 1]);
  expect(run(3_000, () => 20 * mebibyte, { room: 100 })).toEqual([1, 4, 1]);
});

test('a connection that is still opening up is left alone', () => {
  const { run } = simulated();
  let speed = 65_536;
  const growing = (): number => {
    speed *= 1.02;
    return speed;
  };
  expect(run(2_000, growing, { room: 100 })).toEqual([1]);
});

test('so is a fast one, one whose reader is slower, and one beside which there is no room', () => {
  expect(simulated().run(3_000, () => 200 * mebibyte, { room: 100 })).toEqual([1]);
  expect(simulated().run(3_000, (open) => open * 20 * mebibyte, { room: 100, held: 0.8 })).toEqual([1]);
  expect(simulated().run(3_000, (open) => open * 20 * mebibyte, { room: 1 })).toEqual([1]);
});

test('more are opened soon when there is room at last', () => {
  const { run } = simulated();
  run(3_000, (open) => open * 20 * mebibyte, { room: 1 });
  expect(run(250, (open) => open * 20 * mebibyte, { room: 100 })).toEqual([1, 4]);
});

test('connections that never bring anything are waited for two seconds', () => {
  let time = 0;
  const pace = createSplitPace({ most: 12, now: () => time });
  const seen: [number, number][] = [];
  for (; time < 4_000; time += 10) {
    pace.came(200_000, 1, false);
    if (seen.at(-1)?.[1] !== pace.connections) seen.push([time, pace.connections]);
  }
  expect(seen.map(([, connections]) => connections)).toEqual([1, 4, 1]);
  expect(seen[2]?.[0]).toBeGreaterThan(2_400);
});

test('each refusal halves the number, and the third leaves one connection for good', () => {
  const { pace, run } = simulated(12, true);
  expect(pace.connections).toBe(12);
  pace.refused();
  expect(pace.connections).toBe(6);
  pace.refused();
  expect(pace.connections).toBe(3);
  pace.refused();
  expect(run(20_000, (open) => open * 20 * mebibyte, { room: 100 })).toEqual([1]);
});
