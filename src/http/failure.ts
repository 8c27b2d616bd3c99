import { asRegistryError, type ErrorCode, RegistryError } from '../errors.ts';

/** The codes of a connection's error and of its causes, as the runtime names them: `ECONNREFUSED`. */
export function causeCode(error: unknown): string {
  const { cause } = error as { cause?: { code?: unknown } };
  return String(cause?.code ?? '');
}

/**
 * What a connection failed of, in words. A name with several addresses fails once for each, and the runtime leaves the
 * message of all of them empty.
 */
export function connectionError(error: unknown, code: ErrorCode, doing: string): RegistryError {
  if (!(error instanceof AggregateError) || error.message !== '') return asRegistryError(error, code, doing);
  const told = error.errors.map((each: unknown) => (each instanceof Error ? each.message : String(each)));
  return new RegistryError(code, `${doing}: ${[...new Set(told)].join('; ')}`, { cause: error });
}
