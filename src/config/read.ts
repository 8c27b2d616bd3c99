import type { Config } from './model.ts';

/** What a file was understood to say. */
export interface Read {
  readonly config: Config;
  /** What it says that has no meaning here, each once, with `file:line`. */
  readonly warnings: readonly string[];
}
