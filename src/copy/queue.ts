import { abortError, onAbort } from '../abort.ts';
import type { Admission } from './flow.ts';

/** Work that waits for its turn: as much at a time as is admitted, the most urgent first. */
export interface Queue {
  /** Runs `work` of so many bytes when it is its turn: higher urgency first, then in order of arrival. Fails once the signal has fired. */
  run<T>(urgency: number, work: () => Promise<T>, size?: number): Promise<T>;
  /** Resolves once nothing runs any more. */
  idle(): Promise<void>;
}

interface Waiting {
  readonly size: number;
  readonly urgency: number;
  readonly order: number;
  start(): void;
  refuse(): void;
}

const isBefore = (a: Waiting, b: Waiting): boolean =>
  a.urgency === b.urgency ? a.order < b.order : a.urgency > b.urgency;

export function createQueue(admission: Admission, signal: AbortSignal): Queue {
  const { recheckAfter } = admission;
  const waiting = createHeap();
  const leavers: (() => void)[] = [];
  let running = 0;
  let order = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const next = (): void => {
    clearTimeout(timer);
    let first = waiting.first();
    for (; first && admission.enter(first.size); first = waiting.first()) {
      waiting.take();
      running += 1;
      first.start();
    }
    if (first && recheckAfter !== undefined) timer = setTimeout(next, recheckAfter);
    if (running === 0) for (const leave of leavers.splice(0)) leave();
  };
  const refuseAll = (): void => {
    clearTimeout(timer);
    for (let first = waiting.take(); first; first = waiting.take()) first.refuse();
  };
  onAbort(signal, refuseAll);
  return {
    run: <T>(urgency: number, work: () => Promise<T>, size = 0) =>
      new Promise<T>((resolve, reject) => {
        const refuse = (): void => reject(abortError(signal.reason));
        if (signal.aborted) {
          refuse();
          return;
        }
        const start = (): void => {
          work()
            .finally(() => {
              running -= 1;
              admission.leave(size);
              next();
            })
            .then(resolve, reject);
        };
        waiting.add({ urgency, order: order++, size, start, refuse });
        // Not at once: work that is added together is sorted first.
        queueMicrotask(next);
      }),
    idle: () => (running === 0 ? Promise.resolve() : new Promise((resolve) => leavers.push(resolve))),
  };
}

/** A binary heap, so that thousands of layers cost no more each than a few. */
function createHeap() {
  const items: Waiting[] = [];
  const swapIfBefore = (low: number, high: number): boolean => {
    const [a, b] = [items[low], items[high]];
    if (!a || !b || !isBefore(a, b)) return false;
    items[low] = b;
    items[high] = a;
    return true;
  };
  return {
    first: (): Waiting | undefined => items[0],
    add: (item: Waiting): void => {
      let at = items.push(item) - 1;
      for (let parent = (at - 1) >> 1; at > 0 && swapIfBefore(at, parent); parent = (at - 1) >> 1) at = parent;
    },
    take: (): Waiting | undefined => {
      const first = items[0];
      const last = items.pop();
      if (!first || !last || items.length === 0) return first;
      items[0] = last;
      for (let at = 0; ; ) {
        const [left, right] = [items[2 * at + 1], items[2 * at + 2]];
        const child = left && right && isBefore(right, left) ? 2 * at + 2 : 2 * at + 1;
        if (!swapIfBefore(child, at)) return first;
        at = child;
      }
    },
  };
}
