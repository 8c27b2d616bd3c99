import type { z } from 'zod';
import { loadSettings, type SettingsFile, type SettingsProblem } from '../../server/index.ts';
import { printable } from '../printable.ts';
import { type Override, overridden, overridesIn } from './overrides.ts';
import { type AppSettings, appSchema } from './schema.ts';

type Path = readonly PropertyKey[];

/** Objects that are empty without a value, as `inmemory:` in YAML; any other key without a value is as left out. */
const emptyKinds: ReadonlySet<string> = new Set(['inmemory', 'memory']);

/**
 * Reads the file of the registry app, with what the environment sets in it. `INVALID_CONFIG` with all problems, each with
 * `file:line:column`, what was found and what was expected.
 */
export function readAppFile(path: string, environment: NodeJS.ProcessEnv): Promise<SettingsFile<AppSettings>> {
  return loadSettings(path, (value) => {
    const { set, problems } = overridesIn(environment, (at) => keysAt(appSchema, at));
    const whole = overridden(withoutNulls(value), set);
    const { data, error } = appSchema.safeParse(whole);
    const issues = error?.issues.flatMap((issue) => problemsOf(issue, issue.path, { root: whole, overrides: set }));
    const all = [...problems.map((found) => ({ path: [], found })), ...(issues ?? [])];
    return data && all.length === 0 ? { settings: data } : { problems: all };
  });
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const entries = Object.entries(value).flatMap(([key, inner]): [string, unknown][] =>
    inner !== null ? [[key, withoutNulls(inner)]] : emptyKinds.has(key) ? [[key, {}]] : [],
  );
  return Object.fromEntries(entries);
}

interface Whole {
  readonly root: unknown;
  readonly overrides: readonly Override[];
}

function problemsOf(issue: z.core.$ZodIssue, path: Path, whole: Whole): SettingsProblem[] {
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(appSchema, path);
    return issue.keys.map((key) => ({ path: [...path, key], known }));
  }
  const value = valueAt(whole.root, path);
  // The branch that comes closest is the last one, which takes an object.
  if (issue.code === 'invalid_union' && typeof value === 'object' && value !== null) {
    const inner = issue.errors.at(-1)?.flatMap((one) => problemsOf(one, [...path, ...one.path], whole)) ?? [];
    if (inner.length > 0) return inner;
  }
  return [{ path, found: `${shown(value, path)}, ${issue.message}${sourceOf(path, whole)}` }];
}

/** Keys whose values no message shows. */
const secretKeys = /^(?:password|secret|accesskey|secretkey|sessiontoken|headers|username)$/;

function shown(value: unknown, path: Path): string {
  if (value === undefined) return 'nothing found';
  // Others have a login in a variable that is named like this section.
  const isLogin = typeof value === 'string' && path.at(-1) === 'auth';
  if (isLogin || path.some((key) => typeof key === 'string' && secretKeys.test(key)))
    return 'found a value that is not shown';
  if (Array.isArray(value)) return 'found a list';
  if (typeof value === 'object') return value === null ? 'nothing found' : 'found an object';
  return `found ${typeof value === 'string' ? `"${printable(value, 100)}"` : printable(String(value), 100)}`;
}

const sourceOf = (path: Path, { overrides }: Whole): string => {
  const by = overrides.find((one) => one.path.every((key, index) => key === path[index]));
  return by ? ` (set by ${by.name})` : '';
};

const valueAt = (root: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined,
    root,
  );

/** The keys that an object may have at a path of the file. */
function keysAt(schema: z.core.$ZodType, path: Path): readonly string[] {
  const [key, ...rest] = path;
  const objects = objectsIn(schema);
  if (key === undefined) return [...new Set(objects.flatMap(({ _zod }) => Object.keys(shapeOf(_zod.def))))];
  const inner = objects.flatMap(({ _zod }) => shapeOf(_zod.def)[String(key)] ?? []);
  return [...inner, ...elementsOf(schema)].flatMap((one) => keysAt(one, rest));
}

type Shape = Readonly<Record<string, z.core.$ZodType>>;
const shapeOf = (def: object): Shape => ('shape' in def ? (def.shape as Shape) : {});

/** The schemas inside those that only change or choose. */
function unwrapped({ _zod: { def } }: z.core.$ZodType): z.core.$ZodType[] {
  const inside = [
    Reflect.get(def, 'innerType'),
    Reflect.get(def, 'in'),
    'getter' in def && typeof def.getter === 'function' ? def.getter() : undefined,
    ...((Reflect.get(def, 'options') as unknown[] | undefined) ?? []),
  ];
  return inside.filter((one): one is z.core.$ZodType => typeof one === 'object' && one !== null && '_zod' in one);
}

const objectsIn = (schema: z.core.$ZodType): z.core.$ZodType[] =>
  'shape' in schema._zod.def ? [schema] : unwrapped(schema).flatMap(objectsIn);

/** What the items of a list are. */
function elementsOf(schema: z.core.$ZodType): z.core.$ZodType[] {
  const element: unknown = Reflect.get(schema._zod.def, 'element');
  return element === undefined ? unwrapped(schema).flatMap(elementsOf) : [element as z.core.$ZodType];
}
