import type { z } from 'zod';
import { legible, quote } from './quote.ts';

type Path = readonly PropertyKey[];

/** A key path as people write it: `layers[0].size`, `registries["docker.io"].mirrors[0].url`. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(String(key))) return `${text}[${JSON.stringify(legible(String(key)))}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}

/** What stands at a path; undefined where nothing does. */
export function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    root,
  );
}

/** The first fault of a document: field, value in quotes, what is wrong with it. */
export function firstFault(error: z.ZodError, root: unknown): string {
  const issue = error.issues[0];
  const path = issue?.path ?? [];
  const where = path.length === 0 ? 'it' : `field ${quote(pathText(path))}`;
  return `${where} is ${quote(valueAt(root, path))}: ${issue?.message ?? 'not as expected'}`;
}
