import { expect } from 'vitest';

/** CPU time in milliseconds, which other processes of the machine do not change as they do wall time. */
function spent(work: () => unknown): number {
  const begun = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1000;
}

/**
 * Expects that four times the length takes four times as long, not sixteen times. Times of a few milliseconds vary, as does the
 * collection of garbage, so 30 ms count as nothing, and one of five tries is enough.
 */
export function expectLinear(length: number, read: (length: number) => unknown): void {
  read(length / 10);
  const tries: string[] = [];
  for (let turn = 0; turn < 5; turn++) {
    const [once, fourfold] = [spent(() => read(length / 4)), spent(() => read(length))];
    if (fourfold < once * 7 + 30) return;
    tries.push(`${once} ms, four times as much: ${fourfold} ms`);
  }
  expect(tries).toEqual([]);
}
