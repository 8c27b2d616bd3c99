import { remember } from './bounded-map.ts';

export interface StandingOptions {
  /** Milliseconds: the longest time for which a place is asked last. 0: never. */
  readonly pause?: number | undefined;
  /** Milliseconds, from any start; for tests of time. */
  readonly now?: (() => number) | undefined;
}

interface Lapse {
  /** From then on one call tries it again, before the others. */
  readonly until: number;
  /** How often in a row. */
  readonly count: number;
  /** A call is trying it. */
  readonly isTried: boolean;
}

/** Milliseconds for which a place is asked last the first time; each further time in a row doubles it. */
const firstPause = 5_000;

/** Which places let others down a short while ago, by key. They are asked last, never left out. Holds a thousand. */
export interface Standing {
  /** Places in their order, those that let others down at the end; one whose time is over stays, for this call to try it. */
  inOrder<T>(places: readonly T[], keyOf: (place: T) => string | undefined): readonly T[];
  isLow(key: string | undefined): boolean;
  lower(key: string): void;
  restore(key: string): void;
}

export function createStanding({ pause = 30_000, now = () => performance.now() }: StandingOptions = {}): Standing {
  const lapses = new Map<string, Lapse>();
  const lapse = (key: string, count: number, isTried: boolean): void => {
    const milliseconds = Math.min(pause, firstPause * 2 ** (count - 1));
    remember(lapses, key, { until: now() + milliseconds, count, isTried });
  };
  const isLow = (key: string | undefined): boolean => key !== undefined && (lapses.get(key)?.until ?? 0) > now();
  return {
    inOrder: (places, keyOf) => {
      const low = places.filter((place) => isLow(keyOf(place)));
      const others = places.filter((place) => !low.includes(place));
      for (const key of others.map(keyOf)) {
        const known = key === undefined ? undefined : lapses.get(key);
        // Others do not try it, too, before it has responded.
        if (key !== undefined && known) lapse(key, known.count, true);
      }
      return low.length > 0 ? [...others, ...low] : places;
    },
    isLow,
    lower: (key) => {
      const known = lapses.get(key);
      // Several calls find it at the same time.
      if (known && isLow(key) && !known.isTried) return;
      lapse(key, (known?.count ?? 0) + 1, false);
    },
    restore: (key) => void lapses.delete(key),
  };
}
