/** Timers above this fire at once. https://nodejs.org/api/timers.html */
const longestTimer = 2 ** 31 - 1;

export interface Watchdog {
  /** A wait begins. */
  begin(): void;
  /** It is over. */
  end(): void;
  /** There will be no more. */
  stop(): void;
}

/**
 * Calls `bark` when a wait takes longer than `milliseconds`; 0 for never. One timer serves all waits, looking back when
 * it fires: to set one for each chunk of a body would cost a twentieth of the transfer.
 */
export function watchdog(milliseconds: number, bark: () => void): Watchdog {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let since: number | undefined;
  const look = (): void => {
    timer = undefined;
    if (since === undefined) return;
    const left = since + milliseconds - performance.now();
    if (left <= 0) bark();
    else timer = setTimeout(look, Math.min(left, longestTimer));
  };
  return {
    begin: () => {
      if (milliseconds === 0) return;
      since = performance.now();
      timer ??= setTimeout(look, Math.min(milliseconds, longestTimer));
    },
    end: () => {
      since = undefined;
    },
    stop: () => clearTimeout(timer),
  };
}
