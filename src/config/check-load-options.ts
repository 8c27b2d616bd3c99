import { RegistryError } from '../errors.ts';
import { pathText } from '../oci/issue.ts';
import { quote } from '../oci/quote.ts';
import type { LoadConfigOptions } from './load-options.ts';
import { nearest } from './nearest.ts';

type Check = (value: unknown) => string | undefined;

const path: Check = (value) =>
  typeof value === 'string' && value !== '' && !value.includes('\0') ? undefined : 'expected a path';
const flag: Check = (value) => (typeof value === 'boolean' ? undefined : 'expected true or false');

const checks: Readonly<Record<keyof LoadConfigOptions, Check>> = {
  file: path,
  hostsDirectory: path,
  registriesYaml: path,
  registriesConf: path,
  regctlConfig: path,
  authFile: path,
  dockerConfig: path,
  discover: flag,
  defaultEndpoint: flag,
};

/** Refuses options that are none, as what is not read says nothing: `INVALID_CONFIG` with all that is wrong with them. */
export function checkLoadOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new RegistryError(
      'INVALID_CONFIG',
      `Cannot load config: found ${shown(options)}, expected an object of options`,
    );
  }
  const [first, ...others] = Object.entries(options).flatMap(([name, value]) => faultOf(name, value) ?? []);
  if (first === undefined) return;
  const all = [first, ...others];
  const told = others.length === 0 ? first : [`${all.length} problems`, ...all].join('\n  ');
  throw new RegistryError('INVALID_CONFIG', `Cannot load config: ${told}`);
}

function faultOf(name: string, value: unknown): string | undefined {
  const check = Object.hasOwn(checks, name) ? checks[name as keyof LoadConfigOptions] : undefined;
  if (!check) {
    const near = nearest(name, Object.keys(checks));
    const hint =
      near === undefined ? `expected one of ${Object.keys(checks).join(', ')}` : `did you mean ${quote(near)}?`;
    return `unknown option ${quote(name)}, ${hint}`;
  }
  const expected = value === undefined ? undefined : check(value);
  return expected === undefined ? undefined : `${pathText([name])}: found ${shown(value)}, ${expected}`;
}

/** A text in quotes, anything else as it is or by its kind. */
function shown(value: unknown): string {
  const text = quote(value);
  return typeof value === 'string' ? text : text.slice(1, -1);
}
