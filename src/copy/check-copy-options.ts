import { abortSignal, anything, type Check, checkOptions, flag, listener } from '../text/faults.ts';
import type { CopyOptions } from './options.ts';

/** What a copy and a pull have in common; their values are judged where they are used, but for these. */
const common: Readonly<Record<keyof Omit<CopyOptions, 'onEvent'>, Check>> = {
  signal: abortSignal,
  platform: anything,
  concurrency: anything,
  nonDistributable: flag,
  name: anything,
};

/** Refuses options of a copy that are none: `INVALID_CONFIG`. */
export const checkCopyOptions = (options: unknown): void =>
  checkOptions('copy', options, { ...common, onEvent: listener });

/** Refuses options of a pull that are none: `INVALID_CONFIG`. */
export const checkPullOptions = (options: unknown): void => checkOptions('pull', options, { to: anything, ...common });
