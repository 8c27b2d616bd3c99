import { RegistryError } from '../index.ts';
import { failedHelper } from './failed-helper.ts';
import type { Step } from './probes.ts';

/** The step that an error ended: in the error's words, without those that say what was attempted. */
export function failed(name: Step['name'], error: unknown, duration: number): Step {
  const { code, message, status, cause } = error as Partial<RegistryError> & Error;
  const system = causeCode(cause);
  const words = message.replace(/^Cannot (?:[^":]|"[^"]*")*: /, '').replace(/ \([^()\s]+\)$/, '');
  const helper = failedHelper(error);
  return {
    name,
    ok: false,
    duration,
    found: error instanceof RegistryError && status === 200 ? `200, ${words}` : words,
    code: code === 'UNAVAILABLE' && system !== undefined ? system : (code ?? 'FAILED'),
    ...(status !== undefined && { status }),
    ...(helper && { helper }),
  };
}

/** The system's code of what a failure came from, however deep. */
function causeCode(cause: unknown, depth = 0): string | undefined {
  if (typeof cause !== 'object' || cause === null || depth > 4) return undefined;
  const { code, cause: deeper } = cause as { code?: unknown; cause?: unknown };
  return (
    causeCode(deeper, depth + 1) ?? (typeof code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(code) ? code : undefined)
  );
}
