import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { diskQueue } from '../../../src/server/notifications/disk-queue.ts';

const folders: string[] = [];
afterEach(() => {
  for (const path of folders.splice(0)) rmSync(path, { recursive: true });
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'ocifetch-queue-'));
  folders.push(path);
  return path;
}

test('texts come out in their order, however often it is closed and opened', () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('add' as const),
      text: fc.string({ minLength: 1 }).map((text) => text.replaceAll('\n', ' ')),
    }),
    fc.record({ kind: fc.constant('remove' as const) }),
    fc.record({ kind: fc.constant('open' as const) }),
  );
  const check = (steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]): void => {
    const path = folder();
    const expected: string[] = [];
    let queue = diskQueue(path, 1_000);
    for (const one of steps) {
      if (one.kind === 'add') {
        queue.add(one.text);
        expected.push(one.text);
      } else if (one.kind === 'remove') {
        queue.remove();
        expected.shift();
      } else {
        queue.close();
        queue = diskQueue(path, 1_000);
      }
      expect([queue.length, queue.first()]).toEqual([expected.length, expected[0]]);
    }
    queue.close();
  };
  fc.assert(fc.property(fc.array(step, { maxLength: 30 }), check), { numRuns: 40 });
});

test('files that are done are removed, and a queue over several files is read across them', () => {
  const path = folder();
  const long = 'x'.repeat(1_000_000);
  let queue = diskQueue(path, 1_000);
  for (let index = 0; index < 12; index += 1) queue.add(`${index} ${long}`);
  expect(readdirSync(path).length).toBeGreaterThan(2);
  for (let index = 0; index < 7; index += 1) {
    expect(queue.first()?.split(' ')[0]).toBe(String(index));
    queue.remove();
  }
  queue.close();
  queue = diskQueue(path, 1_000);
  for (let index = 7; index < 12; index += 1) {
    expect(queue.first()?.split(' ')[0]).toBe(String(index));
    queue.remove();
  }
  expect(queue.length).toBe(0);
  queue.close();
  expect(readdirSync(path)).toHaveLength(2);
});

test('the beginning of a text that a killed process left is dropped', () => {
  const path = folder();
  const queue = diskQueue(path, 10);
  queue.add('whole');
  queue.close();
  appendFileSync(join(path, readdirSync(path).find((name) => /^\d+$/.test(name)) ?? ''), '{"ha');
  const again = diskQueue(path, 10);
  expect([again.length, again.first()]).toEqual([1, 'whole']);
  again.add('next');
  again.remove();
  expect(again.first()).toBe('next');
  again.close();
});

test('it takes no more than it may have', () => {
  const queue = diskQueue(folder(), 2);
  expect(['a', 'b', 'c'].map((text) => queue.add(text))).toEqual([true, true, false]);
  queue.remove();
  expect(queue.add('d')).toBe(true);
  queue.close();
});
