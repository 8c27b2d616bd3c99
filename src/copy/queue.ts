import { abortError, onAbort } from '../abort.ts';

/** Work that waits for its turn: a bounded number at a time, the most urgent first. */
export interface Queue {
  /**
   * Runs `work` when it is its turn: higher urgency first, then in order of arrival. Fails once the signal has fired. Small
   * work does not wait for places that large work may take.
   */
  run<T>(urgency: number, work: () => Promise<T>, isSmall?: boolean): Promise<T>;
  /** Resolves once nothing runs any more. */
  idle(): Promise<void>;
}

/** How many may run at a time. */
export interface QueueLimits {
  readonly most: number;
  /** As long as what comes next is small. Default: as many. */
  readonly mostSmall?: number | undefined;
}

interface Waiting {
  readonly isSmall: boolean;
  readonly urgency: number;
  readonly order: number;
  start(): void;
  refuse(): void;
}

const isBefore = (a: Waiting, b: Waiting): boolean =>
  a.urgency === b.urgency ? a.order < b.order : a.urgency > b.urgency;

export function createQueue({ most, mostSmall = most }: QueueLimits, signal: AbortSignal): Queue {
  const waiting = createHeap();
  const leavers: (() => void)[] = [];
  let running = 0;
  let order = 0;
  const next = (): void => {
    for (let first = waiting.first(); first && running < (first.isSmall ? mostSmall : most); first = waiting.first()) {
      waiting.take();
      running += 1;
      first.start();
    }
    if (running === 0) for (const leave of leavers.splice(0)) leave();
  };
  const refuseAll = (): void => {
    for (let first = waiting.take(); first; first = waiting.take()) first.refuse();
  };
  onAbort(signal, refuseAll);
  return {
    run: <T>(urgency: number, work: () => Promise<T>, isSmall = false) =>
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
              next();
            })
            .then(resolve, reject);
        };
        waiting.add({ urgency, order: order++, isSmall, start, refuse });
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
