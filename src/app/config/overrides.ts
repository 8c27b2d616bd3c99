/** A value that the environment sets. */
export interface Override {
  /** Name of the variable. */
  readonly name: string;
  readonly path: readonly (string | number)[];
  readonly value: unknown;
}

/** A variable that sets nothing. */
export interface LostOverride {
  readonly found: string;
}

export const isOverride = (one: Override | LostOverride): one is Override => 'path' in one;

const prefix = 'OCIFETCH_';
/** Variables of this program that are not about the file. */
const others: ReadonlySet<string> = new Set(['OCIFETCH_CONFIG']);

/**
 * What variables such as `OCIFETCH_HTTP_ADDR` set: each part between underscores is a key, in any letter case, or the number of an
 * item of a list. One whose first part is no section is for somebody else, unless it looks like a section.
 */
export function overridesIn(
  environment: Readonly<Record<string, string | undefined>>,
  keysAt: (path: readonly (string | number)[]) => readonly string[],
): readonly (Override | LostOverride)[] {
  return Object.entries(environment)
    .filter(([name, value]) => name.startsWith(prefix) && value !== undefined && !others.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, text = '']) => {
      const path: (string | number)[] = [];
      for (const part of name.slice(prefix.length).split('_')) {
        if (/^\d{1,4}$/.test(part)) path.push(Number(part));
        else {
          const known = keysAt(path);
          const key = known.find((one) => one.toLowerCase() === part.toLowerCase());
          // Names that people choose, as of headers, are no known keys.
          if (key === undefined && known.length > 0)
            return { found: `found ${name} in the environment, which sets no known key: expected ${known.join(', ')}` };
          path.push(key ?? part.toLowerCase());
        }
      }
      return { name, path, value: readValue(text) };
    });
}

/** A value as YAML would read it: true, false, a number, a list or object in JSON; all else is a text. */
function readValue(text: string): unknown {
  if (!/^(?:true|false|null|-?\d{1,15}(?:\.\d{1,15})?|\[.*\]|\{.*\}|".*")$/s.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A value with these set; objects and lists on the way are made. */
export function overridden(value: unknown, overrides: readonly Override[]): unknown {
  return overrides.reduce((whole, { path, value: set }) => withValue(whole, path, set), value);
}

function withValue(whole: unknown, [key, ...rest]: readonly (string | number)[], value: unknown): unknown {
  if (key === undefined) return value;
  if (typeof key === 'number') {
    const list = Array.isArray(whole) ? [...whole] : [];
    list[key] = withValue(list[key], rest, value);
    // A gap is what nobody has set.
    return Array.from(list, (item) => item ?? {});
  }
  const table = typeof whole === 'object' && whole !== null && !Array.isArray(whole) ? whole : {};
  return { ...table, [key]: withValue(Reflect.get(table, key), rest, value) };
}
