import type { Contest } from './endpoint.ts';
import { cannot, type RegistryError } from './errors.ts';
import type { Emit } from './events.ts';
import { createStanding, type Standing } from './standing.ts';

/** One of several places that are asked for the same. */
export interface Contestant<Answer> {
  /** For a host its API root. */
  readonly name: string | undefined;
  /**
   * Asks it; gives undefined if it failed and the next one may be asked, and rejects if none may be. `isExtra`: it is asked while
   * another one is.
   */
  ask(contest: Contest | undefined, isExtra: boolean): Promise<Answer | undefined>;
  /** It is given up, as it was silent: what it is asked has no result any more. */
  giveUp(error: RegistryError): void;
}

export interface ContestsOptions {
  /** False: places are only asked one after the other. */
  readonly isHedged?: boolean | undefined;
  readonly standing?: Standing | undefined;
  readonly emit?: Emit | undefined;
}

/** What the contests of a client share. */
export interface Contests {
  readonly isHedged: boolean;
  readonly standing: Standing;
  readonly emit: Emit;
  /** The right to send an extra request, given back by the returned function; undefined if another contest has it: `onFree` is called later. */
  begin(onFree: () => void): (() => void) | undefined;
  /** The contest is over: it does not wait for that right. */
  leave(onFree: () => void): void;
  /** A place was silent while another one answered: it is asked last for a while. */
  wasSilent(name: string): void;
  /** Calls `leave` when another contest finds this place silent. Returns a function that ends that. */
  watch(name: string, leave: () => void): () => void;
}

export function createContests({
  isHedged = true,
  standing = createStanding(),
  emit = () => {},
}: ContestsOptions = {}): Contests {
  const waiting = new Set<() => void>();
  const watchers = new Map<string, Set<() => void>>();
  let isTaken = false;
  const free = (): void => {
    isTaken = false;
    for (const onFree of [...waiting]) {
      if (isTaken) return;
      waiting.delete(onFree);
      onFree();
    }
  };
  return {
    isHedged,
    standing,
    emit,
    begin: (onFree) => {
      if (isTaken) {
        waiting.add(onFree);
        return undefined;
      }
      isTaken = true;
      return free;
    },
    leave: (onFree) => void waiting.delete(onFree),
    wasSilent: (name) => {
      standing.lower(name);
      for (const leave of [...(watchers.get(name) ?? [])]) leave();
    },
    watch: (name, leave) => {
      const leaving = watchers.get(name) ?? new Set();
      watchers.set(name, leaving.add(leave));
      return () => {
        leaving.delete(leave);
        if (leaving.size === 0) watchers.delete(name);
      };
    },
  };
}

/** A place that is being asked. */
interface Runner<Answer> {
  readonly contestant: Contestant<Answer>;
  readonly controller: AbortController;
  /** `performance.now()` when it was asked. */
  readonly started: number;
  /** Since when it has been silent for longer than usual, and how long that is. */
  silence?: { readonly since: number; readonly milliseconds: number } | undefined;
  /** Waits for that of an earlier place. */
  answer?: Answer;
  readonly unwatch: () => void;
}

/** The part of the time until a place is silent that it gets in addition if its answer counts for more. */
const grace = 1 / 3;

/** Milliseconds that a place may take that is asked again, roughly. */
const expected = 10_000;

/**
 * Asks places in their order until one answers: undefined if all have failed. While the one that is asked is silent, the next one
 * is asked, too, and the first answer counts; the other call is ended. Of two that are silent, the earlier one is given up
 * for the next. In all contests of a client, there is one extra request at a time. `isRanked`: an earlier place knows better, as
 * with tags; if it answers a little later, its answer counts.
 */
export const contend = <Answer>(
  contestants: readonly Contestant<Answer>[],
  contests: Contests,
  isRanked = false,
): Promise<Answer | undefined> =>
  new Promise((resolve, reject) => {
    new Course(contestants, { contests, isRanked, resolve, reject }).look();
  });

interface CourseOptions<Answer> {
  readonly contests: Contests;
  readonly isRanked: boolean;
  resolve(answer: Answer | undefined): void;
  reject(error: unknown): void;
}

/** One contest: at most two places are asked at a time, the second only with the right to an extra request. */
class Course<Answer> {
  readonly #options: CourseOptions<Answer>;
  readonly #left: Contestant<Answer>[];
  /** The one that was asked first is the first. */
  #running: readonly Runner<Answer>[] = [];
  /** Names of those that were given up. */
  readonly #silent = new Set<string>();
  #release: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(contestants: readonly Contestant<Answer>[], options: CourseOptions<Answer>) {
    this.#left = [...contestants];
    this.#options = options;
  }

  /** Does what is to be done as things are now. */
  readonly look = (): void => {
    if (this.#isOver) return;
    const answered = this.#running.find(({ answer }) => answer !== undefined);
    if (answered) this.#judge(answered);
    else if (this.#left.length > 0) this.#startNext();
    else if (this.#running.length === 0) this.#end(() => this.#options.resolve(undefined));
    if (this.#running.length < 2) this.#free();
  };

  #judge(answered: Runner<Answer>): void {
    const [earlier] = this.#running;
    clearTimeout(this.#timer);
    if (!this.#options.isRanked || !earlier || earlier === answered) this.#win(answered);
    // Otherwise its response has begun.
    else if (earlier.silence) {
      const { since, milliseconds } = earlier.silence;
      const left = since + milliseconds * grace - performance.now();
      if (left > 0) this.#timer = setTimeout(this.look, Math.ceil(left));
      else this.#win(answered);
    }
  }

  #startNext(): void {
    const { contests } = this.#options;
    const [first, second] = this.#running;
    if (first) {
      if (!this.#running.every(({ silence }) => silence)) return;
      this.#release ??= contests.begin(this.look);
      if (!this.#release) return;
      if (second) this.#giveUp(first);
    }
    const next = this.#left.shift();
    if (next) this.#start(next, second ?? first);
  }

  /** `silent`: the one that is asked already. */
  #start(contestant: Contestant<Answer>, silent: Runner<Answer> | undefined): void {
    const { contests, reject } = this.#options;
    const { name } = contestant;
    const leave = (): void => {
      const isLast = this.#left.length === 0 && this.#running.length < 2;
      if (isLast || runner.answer !== undefined) return;
      this.#giveUp(runner);
      this.look();
    };
    const runner: Runner<Answer> = {
      contestant,
      controller: new AbortController(),
      started: performance.now(),
      unwatch: name === undefined ? () => {} : contests.watch(name, leave),
    };
    const isLast = !silent && this.#left.length === 0;
    this.#running = [...this.#running, runner];
    contestant.ask(isLast ? undefined : this.#contestOf(runner, silent), silent !== undefined).then(
      (answer) => {
        if (!this.#running.includes(runner)) return;
        if (answer === undefined) this.#remove(runner);
        else runner.answer = answer;
        this.look();
      },
      (error: unknown) => {
        if (!this.#running.includes(runner)) return;
        this.#remove(runner);
        this.#end(() => reject(error));
      },
    );
  }

  #contestOf(runner: Runner<Answer>, silent: Runner<Answer> | undefined): Contest {
    let isSent = false;
    return {
      signal: runner.controller.signal,
      onSent: () => {
        const [from, to] = [silent?.contestant.name, runner.contestant.name];
        if (!isSent && silent?.silence && from !== undefined && to !== undefined) {
          const milliseconds = Math.round(performance.now() - silent.started);
          this.#options.contests.emit({ type: 'hedge', from, to, milliseconds });
        }
        isSent = true;
      },
      onSilent: (milliseconds) => {
        runner.silence = milliseconds > 0 ? { since: performance.now(), milliseconds } : undefined;
        this.look();
      },
    };
  }

  #win(winner: Runner<Answer>): void {
    this.#remove(winner);
    for (const runner of this.#running) if (runner.silence) this.#giveUp(runner);
    // Others leave them, too, and need no extra request for that.
    for (const name of this.#silent) this.#options.contests.wasSilent(name);
    this.#end(() => this.#options.resolve(winner.answer));
  }

  #end(settle: () => void): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#options.contests.leave(this.look);
    for (const runner of this.#running) {
      this.#remove(runner);
      runner.controller.abort(endedError(runner, 'another host has responded first'));
    }
    settle();
    this.#free();
  }

  #giveUp(runner: Runner<Answer>): void {
    const { contestant, controller, started } = runner;
    this.#remove(runner);
    if (contestant.name !== undefined) this.#silent.add(contestant.name);
    const found = `no response in ${Math.round(performance.now() - started)} ms, so another host is requested`;
    const error = endedError(runner, found);
    contestant.giveUp(error);
    controller.abort(error);
  }

  #remove(runner: Runner<Answer>): void {
    this.#running = this.#running.filter((other) => other !== runner);
    runner.unwatch();
  }

  #free(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }
}

/** What ends the call of one that did not win. It is owed a full try if all others fail. */
function endedError<Answer>({ contestant: { name } }: Runner<Answer>, found: string): RegistryError {
  const host = name !== undefined && URL.canParse(name) ? new URL(name).host : undefined;
  const owed = { tried: 0, expected };
  return cannot('ABORTED', `wait for ${host === undefined ? 'a host' : `"${host}"`}`, found, { host, owed });
}
