import { type Check, checkOptions, flag } from '../oci/check-options.ts';
import type { LoadConfigOptions } from './load-options.ts';

const path: Check = (value) =>
  typeof value === 'string' && value !== '' && !value.includes('\0') ? undefined : 'expected a path';

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
export const checkLoadOptions = (options: unknown): void => checkOptions('load config', options, checks);
