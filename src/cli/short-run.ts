import { setFlagsFromString } from 'node:v8';

/**
 * Makes V8 compile for a process that is over in a second: on Node 20 optimizing the HTTP parser and what calls it costs
 * a pull a fifth of its CPU time, mostly for code that is never run. Node 22 and later decide better by themselves, and
 * lose their code cache by such a change. Called before the first request, as the parser is compiled for it.
 */
export function tuneForShortRun(): void {
  if (!process.version.startsWith('v20.')) return;
  setFlagsFromString('--liftoff-only');
  setFlagsFromString('--interrupt-budget=1000000');
}
