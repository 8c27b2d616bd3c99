import type { Step } from './probes.ts';

/** The credential helper that an error came of, however deep; it has no other sign than its words. */
export function failedHelper(error: unknown, depth = 0): Step['helper'] {
  if (!(error instanceof Error) || depth > 4) return undefined;
  const [, program, found] = / from credential helper "(docker-credential-[^"]+)": (.+)/s.exec(error.message) ?? [];
  if (program === undefined || found === undefined) return failedHelper(error.cause, depth + 1);
  return { program, found, isMissing: found.startsWith('there is no such program') };
}

/** What to do about a helper that failed, which is not what its host's answers are of. */
export function helperAdvice(steps: readonly Step[]): string | undefined {
  const helper = steps.find((step) => step.helper)?.helper;
  if (!helper) return undefined;
  const { program, found, isMissing } = helper;
  return isMissing
    ? `There is no ${program} on PATH: install it, or remove it from the file that names it`
    : `Run ${program} yourself, or remove it from the file that names it: it failed with ${found}`;
}
