import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readHostsToml } from '../../src/config/containerd/read.ts';
import { readRegistriesConf } from '../../src/config/containers/read.ts';
import { readDockerConfig } from '../../src/config/docker/read.ts';
import { readRegistriesYaml } from '../../src/config/k3s/read.ts';
import { readOwnConfig } from '../../src/config/own/read.ts';
import { readRegctlConfig } from '../../src/config/regctl/read.ts';
import { RegistryError } from '../../src/errors.ts';

/** Seconds for each parser; `FUZZ_SECONDS=60 npm run fuzz` is what CI does. */
const seconds = Number(process.env.FUZZ_SECONDS ?? 0.2);
const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
const file = 'fuzzed';

/** The page's example of a kind of file. */
function example(name: string): string {
  const start = page.indexOf(`${name} → `);
  return /```\w+\n([\s\S]*?)```/.exec(page.slice(start))?.[1] ?? '';
}

const parsers: readonly [name: string, sample: string, read: (text: string) => unknown][] = [
  [
    'hosts.toml',
    example('hosts.toml'),
    (text) => readHostsToml(text, { file, directory: '/certs.d', registry: 'docker.io' }),
  ],
  ['registries.yaml', example('registries.yaml'), (text) => readRegistriesYaml(text, { file })],
  ['registries.conf', example('registries.conf'), (text) => readRegistriesConf(text, { file })],
  ['config.json', example('config.json'), (text) => readDockerConfig(text, { file })],
  ['regctl.json', example('regctl.json'), (text) => readRegctlConfig(text, { file })],
  ['ocifetch.yaml', example('ocifetch.yaml'), (text) => readOwnConfig(text, { file, format: 'yaml' })],
];

const pieces = fc.oneof(
  fc.constantFrom(
    '__proto__',
    'constructor',
    '"',
    "'",
    '[',
    ']',
    '{',
    '}',
    '=',
    ':',
    '.',
    ',',
    '\n',
    '\t',
    '#',
    '*',
    '&a',
  ),
  fc.constantFrom(
    '[[',
    '"""',
    '\\u0000',
    'true',
    '1e999',
    '-0',
    'https://u:p@h/?q',
    '<<: *a',
    '!!binary',
    '\ufeff',
    '\0',
  ),
  fc.string({ unit: 'binary', maxLength: 8 }),
);

/** A sample in which pieces, or stretches of its own, were put in place of a few stretches. */
const mutated = (sample: string): fc.Arbitrary<string> => {
  const stretch = fc
    .tuple(fc.nat(sample.length), fc.nat(80))
    .map(([start, length]) => sample.slice(start, start + length));
  const edit = fc.tuple(fc.nat(sample.length), fc.nat(12), fc.oneof({ weight: 3, arbitrary: pieces }, stretch));
  return fc
    .array(edit, { minLength: 1, maxLength: 6 })
    .map((edits) => edits.reduce((text, [at, cut, piece]) => text.slice(0, at) + piece + text.slice(at + cut), sample));
};

test.each(parsers)(
  '%s, whatever is in it, is read or INVALID_CONFIG',
  (_name, sample, read) => {
    expect(sample).not.toBe('');
    const text = fc.oneof({ weight: 4, arbitrary: mutated(sample) }, fc.string({ unit: 'binary', maxLength: 200 }));
    fc.assert(
      fc.property(text, (given) => {
        try {
          read(given);
        } catch (error) {
          if (!(error instanceof RegistryError) || error.code !== 'INVALID_CONFIG') throw error;
        }
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
      { numRuns: 1e9, interruptAfterTimeLimit: seconds * 1000, markInterruptAsFailure: false },
    );
  },
  (seconds + 20) * 1000,
);
