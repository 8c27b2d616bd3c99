import { expect, test } from 'vitest';
import { type LoadConfigOptions, loadConfig } from '../../src/index.ts';

const message = (options: unknown): Promise<string> =>
  loadConfig(options as LoadConfigOptions).then(
    () => 'accepted',
    (error: Error & { code?: string }) => `${error.code} ${error.message}`,
  );

test.each([
  [{ registryYaml: '/nope.yaml' }, 'unknown option "registryYaml", did you mean "registriesYaml"?'],
  [{ hostDirectory: '/nope' }, 'unknown option "hostDirectory", did you mean "hostsDirectory"?'],
  [{ constructor: '/nope' }, 'unknown option "constructor", expected one of file, hostsDirectory, registriesYaml,'],
  [{ discover: 'yes' }, 'discover: found "yes", expected true or false'],
  [{ defaultEndpoint: 'no' }, 'defaultEndpoint: found "no", expected true or false'],
  [{ hostsDirectory: null }, 'hostsDirectory: found null, expected a path'],
  [{ hostsDirectory: 5 }, 'hostsDirectory: found 5, expected a path'],
  [{ file: ['/a'] }, 'file: found a list, expected a path'],
  [{ file: '' }, 'file: found "", expected a path'],
  [{ file: '/a\0b' }, 'file: found "/a\\u0000b", expected a path'],
  [null, 'found null, expected an object of options'],
  ['/etc/x.yaml', 'found "/etc/x.yaml", expected an object of options'],
  [['/etc/x.yaml'], 'found a list, expected an object of options'],
])('%j is refused', async (options, expected) => {
  expect(await message(options)).toContain(`INVALID_CONFIG Cannot load config: ${expected}`);
});

test('all problems are reported at once, and what is left out is not one', async () => {
  expect(await message({ discover: 1, fil: 'x' })).toBe(
    'INVALID_CONFIG Cannot load config: 2 problems\n' +
      '  discover: found 1, expected true or false\n' +
      '  unknown option "fil", did you mean "file"?',
  );
  expect(await message({ discover: false, file: undefined, defaultEndpoint: undefined })).toBe('accepted');
});
