/** Over how many connections a content is read, by what comes over them. */
export interface SplitPace {
  /** Connections that it should be read over now. */
  readonly connections: number;
  /** Bytes per second of a connection, as measured last. */
  readonly speed: number;
  /** Bytes came. `open` connections bring some; with `isFull`, no further one can be had. */
  came(bytes: number, open: number, isFull: boolean): void;
  /** The reader took so many milliseconds for what it was given: then the network is not what is waited for. */
  held(milliseconds: number): void;
  /** A host refused a part, or broke it off: fewer connections, and after some of these only one. */
  refused(): void;
}

export interface SplitPaceOptions {
  /** Most connections. */
  readonly most: number;
  /** All of them at once, instead of when that helps. */
  readonly isForced?: boolean | undefined;
  /** Milliseconds. */
  readonly now?: (() => number) | undefined;
}

/** Milliseconds for which a throughput is measured. */
const period = 200;

/** Milliseconds in which further connections have brought their first bytes, or are not waited for. */
const opening = 2_000;

/** Milliseconds until more connections are tried again, after they did not help. */
const rest = 3_000;

/** A throughput that grows by less is steady: the connection has opened up. */
const steady = 1.25;

/** A throughput that grows by less was not worth the connections. */
const worthwhile = 1.2;

/** Bytes per second of a connection that no other is opened beside: what a machine reads, hashes and writes is not much more. */
const fast = 100 * 1_048_576;

/** Connections beside the first one in the first attempt; then as many times more. */
const factor = 4;

/** Refusals until only one connection is used. */
const patience = 3;

/** What a period showed: bytes per second, and how many connections brought them. */
interface Measured {
  readonly rate: number;
  readonly time: number;
  readonly open: number;
  readonly isFull: boolean;
}

/** More connections that are tried. */
interface Trial {
  /** How many there were before, and what they brought. */
  readonly connections: number;
  readonly rate: number;
  /** When those that have not brought anything are not waited for any longer. */
  readonly until: number;
  /** Whether all of them have brought something. */
  isOpen: boolean;
}

/**
 * One connection at first. If what it brings is steady and slow, some more are tried; they stay if the sum grows
 * measurably, and then still more are tried.
 */
export function createSplitPace({
  most,
  isForced = false,
  now = () => performance.now(),
}: SplitPaceOptions): SplitPace {
  const state = { connections: isForced ? most : 1, refusals: 0, restUntil: 0 };
  /** What is measured at present. */
  const current = { since: now(), bytes: 0, held: 0 };
  /** Throughput of the period before. */
  let before: number | undefined;
  let speed: number | undefined;
  /** What was before more connections were tried. */
  let trial: Trial | undefined;
  const restart = (time: number): void => {
    Object.assign(current, { since: time, bytes: 0, held: 0 });
  };
  const widen = (rate: number, time: number): void => {
    trial = { connections: state.connections, rate, until: time + opening, isOpen: false };
    state.connections = Math.min(most, state.connections * factor);
  };
  /** Some are between two parts. */
  const hasAll = (open: number): boolean => open > state.connections / 2;
  /** A throughput was measured while nothing was tried. */
  const observe = ({ rate, time, open, isFull }: Measured): void => {
    const isSteady = before !== undefined && rate < before * steady;
    before = rate;
    if (
      isSteady &&
      !isFull &&
      hasAll(open) &&
      state.connections < most &&
      rate / open < fast &&
      time >= state.restUntil
    )
      widen(rate, time);
  };
  /** A throughput was measured over more connections than before. */
  const judge = (tried: Trial, { rate, time, open, isFull }: Measured): void => {
    trial = undefined;
    before = undefined;
    if (rate < tried.rate * worthwhile) {
      state.connections = tried.connections;
      state.restUntil = time + rest;
    } else if (!isFull && hasAll(open) && state.connections < most && rate / open < fast) widen(rate, time);
  };
  return {
    get connections() {
      return state.connections;
    },
    get speed() {
      return speed ?? (current.bytes * 1_000) / (now() - current.since) / state.connections;
    },
    came: (bytes, open, isFull) => {
      const time = now();
      current.bytes += bytes;
      if (trial && !trial.isOpen) {
        // Connections that are being opened bring nothing yet.
        trial.isOpen = open >= state.connections || isFull || time >= trial.until;
        restart(time);
      }
      const passed = time - current.since;
      if (passed < period) return;
      const rate = (current.bytes * 1_000) / passed;
      const isHeldUp = current.held > passed / 2;
      restart(time);
      if (isHeldUp) {
        before = undefined;
        return;
      }
      speed = rate / Math.max(1, open);
      if (isForced || state.refusals >= patience) return;
      if (trial) judge(trial, { rate, time, open, isFull });
      else observe({ rate, time, open, isFull });
    },
    held: (milliseconds) => {
      current.held += milliseconds;
    },
    refused: () => {
      state.refusals += 1;
      state.connections = state.refusals >= patience ? 1 : Math.max(1, Math.floor(state.connections / 2));
      state.restUntil = now() + rest;
      trial = undefined;
      before = undefined;
    },
  };
}
