import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConfigKind, createClient, readConfigTexts } from 'ocifetch';
import { expect, test } from 'vitest';

/** The problems that reading a file and making a client of it ends in, the file's name left out. */
async function problems(kind: ConfigKind, file: string, lines: readonly string[]): Promise<string[]> {
  const text = lines.join('\n');
  const failure = await readConfigTexts([{ text, file, kind, registry: 'q.io' }])
    .then((config) => createClient({ config }).close())
    .then(() => undefined)
    .catch((error: Error) => error.message);
  const [first = '', ...others] = failure?.split('\n  ') ?? [];
  const told = others.length > 0 ? others : [first.replace(/^Cannot use config(?: file "[^"]*")?: /, '')];
  return told.map((line) => line.replaceAll(file, 'FILE'));
}

/** What is wrong in a file in more than one way, and all that is told of it. */
const files: readonly [name: string, kind: ConfigKind, file: string, lines: string[], told: string[]][] = [
  [
    'a header of our own, a CA that is not there, a typo and a key twice',
    'hosts.toml',
    '/nowhere/q.io/hosts.toml',
    [
      '[host."https://m.test"]',
      'capabilties = ["pull"]',
      'ca = ["none.pem", "/nowhere/other.pem"]',
      'dial_timeout = 5',
      'dial_timeout = "5s"',
      '[host."https://m.test".header]',
      'Host = "a"',
    ],
    [
      'FILE:2:1: host["https://m.test"].capabilties: unknown key "capabilties", did you mean "capabilities"?',
      'FILE:3:7: host["https://m.test"].ca[0]: file "/nowhere/q.io/none.pem": no such file',
      'FILE:3:19: host["https://m.test"].ca[1]: file "/nowhere/other.pem": no such file',
      'FILE:4:16: host["https://m.test"].dial_timeout: found the number 5, expected a text such as "5s"',
      'FILE:5:1: duplicate key "dial_timeout", first at 4:1',
      'FILE:7:1: host["https://m.test"].header.Host: found "Host", expected a header that the client does not set itself',
    ],
  ],
  [
    'certificates that are not there, alone',
    'registries.yaml',
    '/nowhere/registries.yaml',
    [
      'mirrors:',
      '  q.io:',
      '    endpoint: ["https://m.test"]',
      '  r.io:',
      '    endpoint: ["https://n.test"]',
      'configs:',
      '  "*":',
      '    tls:',
      '      ca_file: none.pem',
    ],
    ['FILE:9:7: configs["*"].tls.ca_file: file "/nowhere/none.pem": no such file'],
  ],
  [
    'certificates that are not there beside a quoted boolean and a key twice',
    'registries.yaml',
    '/nowhere/registries.yaml',
    [
      'configs:',
      '  q.io:',
      '    tls:',
      '      insecure_skip_verify: "true"',
      '      ca_file: none.pem',
      '  q.io:',
      '    auth: {}',
    ],
    [
      'FILE:4:29: configs["q.io"].tls.insecure_skip_verify: found the text "true", expected true or false, without quotes',
      'FILE:5:7: configs["q.io"].tls.ca_file: file "/nowhere/none.pem": no such file',
      'FILE:6:3: duplicate key "q.io", first at 2:3',
    ],
  ],
  [
    'certificates, a key twice and what is of the wrong kind',
    'ocifetch',
    '/nowhere/config.json',
    [
      '{ "registries": { "q.io": { "mirrors": [',
      '{ "url": "https://m.test", "connectTimeout": "5", "tls": { "ca": ["none.pem"] } },',
      '{ "url": "https://n.test", "url": "https://o.test", "overridePath": 1 } ] } } }',
    ],
    [
      'FILE:2:28: registries["q.io"].mirrors[0].connectTimeout: found the text "5", expected milliseconds',
      'FILE:2:67: registries["q.io"].mirrors[0].tls.ca[0]: file "/nowhere/none.pem": no such file',
      'FILE:3:28: duplicate key "url", first at 3:3',
      'FILE:3:53: registries["q.io"].mirrors[1].overridePath: found the number 1, expected true or false',
    ],
  ],
  [
    'the first of several lines that are not valid TOML',
    'hosts.toml',
    '/nowhere/hosts.toml',
    [
      '[host.https://a]',
      'ca = "a.pem',
      'skip_verify = yes',
      '[host."https://b"]',
      '[host."https://b"]',
      'capabilities = ["pull"]',
    ],
    ['FILE:1:12: not valid TOML, illegal character in key, expected quotes around it, or "=" behind it'],
  ],
  [
    'a star without quotes, and what else is not valid YAML, in the order of the lines',
    'registries.yaml',
    '/nowhere/registries.yaml',
    ['mirrors:', '  a.io: "x" y', '  *:', '    endpoint: []'],
    [
      'FILE:2:13: not valid YAML, Unexpected scalar at node end',
      'FILE:3:4: not valid YAML, found an alias, expected quotes around what begins with "*"',
    ],
  ],
];

test.each(files)('all problems of a file are reported at once, each with its place: %s', async (...row) => {
  const [, kind, file, lines, told] = row;
  expect(await problems(kind, file, lines)).toEqual(told);
});

test('a host without verification is reported with the key that configures it', async () => {
  const warnings: string[] = [];
  const text = ['configs:', '  m.test:', '    tls:', '      insecure_skip_verify: true'].join('\n');
  const config = await readConfigTexts([{ text, file: '/k/registries.yaml', kind: 'registries.yaml' }]);
  const onEvent = (event: { type: string; text?: string }) => warnings.push(event.text ?? '');
  await createClient({ config, onEvent }).close();
  expect(warnings).toEqual([
    'the certificate of https://m.test/v2 is not checked: insecureSkipVerify (/k/registries.yaml:4:7: configs["m.test"].tls.insecure_skip_verify)',
  ]);
});

test("regctl's certificates are told by their own keys", async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ocifetch-problems-'));
  const file = join(directory, 'config.json');
  const text = '{ "hosts": { "m.test": {\n"regcert": "not PEM\\n" } } }';
  await writeFile(file, text);
  expect(await problems('regctl', file, [text])).toEqual([
    'FILE:2:1: hosts["m.test"].regcert: a text that is not shown: not PEM',
  ]);
});
