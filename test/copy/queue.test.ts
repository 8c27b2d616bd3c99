import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sleep } from '../../src/abort.ts';
import { admitMost } from '../../src/copy/flow.ts';
import { createQueue } from '../../src/copy/queue.ts';
import { failsWith } from '../contract/source.ts';

test('whatever is added, the most urgent runs first, equals in their order, and so many at a time', async () => {
  const check = async (urgencies: readonly number[], most: number) => {
    const queue = createQueue(admitMost(most), new AbortController().signal);
    const started: { readonly urgency: number; readonly place: number }[] = [];
    let running = 0;
    const work = (urgency: number, place: number) => async () => {
      started.push({ urgency, place });
      running += 1;
      expect(running).toBeLessThanOrEqual(most);
      await Promise.resolve();
      running -= 1;
      return place;
    };
    const results = urgencies.map((urgency, place) => queue.run(urgency, work(urgency, place)));
    expect(await Promise.all(results)).toEqual(urgencies.map((_urgency, place) => place));
    expect(started).toEqual([...started].sort((a, b) => b.urgency - a.urgency || a.place - b.place));
  };
  const urgency = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constant(Infinity));
  await fc.assert(fc.asyncProperty(fc.array(urgency, { maxLength: 60 }), fc.integer({ min: 1, max: 5 }), check));
});

test('what is not admitted is asked for again when something ends, and after a time', async () => {
  const asked: number[] = [];
  let isOpen = false;
  const admission = {
    enter: (size: number) => {
      asked.push(size);
      return isOpen;
    },
    leave: (size: number) => void asked.push(-size),
    recheckAfter: 20,
  };
  const queue = createQueue(admission, new AbortController().signal);
  const work = queue.run(1, async () => 'done', 7);
  await Promise.resolve();
  expect(asked).toEqual([7]);
  isOpen = true;
  expect(await work).toBe('done');
  expect(asked).toEqual([7, 7, -7]);
});

test('a failure is its own only, and frees its place', async () => {
  const queue = createQueue(admitMost(1), new AbortController().signal);
  const failing = queue.run(1, () => Promise.reject(new Error('no')));
  const next = queue.run(0, async () => 'done');
  await expect(failing).rejects.toThrow('no');
  expect(await next).toBe('done');
});

test('once the signal fires, what waits and what comes is refused, and idle waits for what runs', async () => {
  const controller = new AbortController();
  const queue = createQueue(admitMost(1), controller.signal);
  let isOver = false;
  const running = queue.run(1, async () => {
    await sleep(20);
    isOver = true;
  });
  const waiting = queue.run(1, async () => 'never');
  await Promise.resolve();
  controller.abort(new Error('enough'));
  await expect(waiting).rejects.toEqual(failsWith('ABORTED'));
  await expect(queue.run(1, async () => 'never')).rejects.toEqual(failsWith('ABORTED'));
  expect(isOver).toBe(false);
  await queue.idle();
  expect(isOver).toBe(true);
  await running;
  await queue.idle();
});
