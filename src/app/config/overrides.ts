/** A value that the environment sets. */
export interface Override {
  /** Name of the variable. */
  readonly name: string;
  readonly path: readonly (string | number)[];
  readonly value: unknown;
}

/** What the environment sets, and what is wrong with it. */
export interface Overrides {
  readonly set: readonly Override[];
  readonly problems: readonly string[];
}

/** What the names begin with: distribution's, and ours, which counts if both are set. */
const prefixes = ['REGISTRY_', 'OCIFETCH_'];
/** Variables of this program, and of podman, that are not about the file. */
const others: ReadonlySet<string> = new Set(['OCIFETCH_CONFIG', 'REGISTRY_AUTH_FILE']);
/** Sections whose variable may be the name of what is in them: `REGISTRY_STORAGE=s3`, as distribution has it. */
const named: ReadonlySet<string> = new Set(['auth', 'storage']);

/**
 * What variables such as `OCIFETCH_HTTP_ADDR` set: each part between underscores is a key, in any letter case, or the number of an
 * item of a list. `REGISTRY_HTTP_ADDR` is understood, too, if its first part is a section: others have variables of that name.
 */
export function overridesIn(
  environment: Readonly<Record<string, string | undefined>>,
  keysAt: (path: readonly (string | number)[]) => readonly string[],
): Overrides {
  const all = prefixes.flatMap((prefix) =>
    Object.entries(environment)
      .filter(([name, value]) => name.startsWith(prefix) && value !== undefined && !others.has(name))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([name, text = '']) => {
        const parts = name.slice(prefix.length).split('_');
        const isSection = keysAt([]).includes(parts[0]?.toLowerCase() ?? '');
        return prefix !== 'REGISTRY_' || isSection ? overrideOf(name, parts, text, keysAt) : [];
      }),
  );
  const set = all.filter((one) => typeof one === 'object');
  return { set, problems: all.filter((one) => typeof one === 'string') };
}

/** What a variable sets, or what is wrong with it. */

function overrideOf(
  name: string,
  parts: readonly string[],
  text: string,
  keysAt: (path: readonly (string | number)[]) => readonly string[],
): Override | string {
  const path: (string | number)[] = [];
  for (const part of parts) {
    if (/^\d{1,4}$/.test(part)) path.push(Number(part));
    else {
      const known = keysAt(path);
      const key = known.find((one) => one.toLowerCase() === part.toLowerCase());
      // Names that people choose, as of headers, are no known keys.
      if (key === undefined && known.length > 0)
        return `found ${name} in the environment, which sets no known key: expected ${known.join(', ')}`;
      path.push(key ?? part.toLowerCase());
    }
  }
  const isName = path.length === 1 && named.has(String(path[0])) && /^[a-z][a-z\d]{0,15}$/.test(text);
  return { name, path, value: isName ? { [text]: {} } : readValue(text) };
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
