import { expect, test } from 'vitest';
import { folder, run } from './support.ts';

const yaml = 'mirrors:\n  docker.io:\n    endpoint: ["https://mirror.test"]\n';

test("with --no-default-endpoint the registries of k3s' file only have their mirrors", async () => {
  const { path } = await folder({ 'registries.yaml': yaml });
  const args = ['plan', '--json', '--registries-yaml', path('registries.yaml')];
  const asked = async (...more: string[]): Promise<string[]> => {
    const { code, out } = await run([...args, ...more, 'alpine']);
    expect(code).toBe(0);
    return JSON.parse(out.join('\n')).endpoints.map(({ url }: { url: string }) => url);
  };
  expect(await asked()).toEqual(['https://mirror.test/v2', 'https://registry-1.docker.io/v2']);
  expect(await asked('--no-default-endpoint')).toEqual(['https://mirror.test/v2']);
});

test('a check reports all certificates that cannot be read, with their lines', async () => {
  const { path, plain } = await folder({
    'certs.d/_default/hosts.toml': 'ca = "no-ca.pem"\n',
    'certs.d/r.test/hosts.toml': '[host."https://m.test"]\nclient = [["words.pem", "no-key.pem"]]\n',
    'certs.d/r.test/words.pem': 'words\n',
  });
  const args = ['config', 'check', '--no-discover', '--hosts-dir', path('certs.d')];
  const { code, out } = await run(args);
  expect(code).toBe(1);
  const errors = plain(out).filter((line) => line.startsWith('error: '));
  expect(errors.map((line) => line.replace('error: ', ''))).toEqual([
    '/dir/certs.d/r.test/hosts.toml:2:12: host["https://m.test"].client[0][0]: file "/dir/certs.d/r.test/words.pem": not PEM',
    '/dir/certs.d/r.test/hosts.toml:2:25: host["https://m.test"].client[0][1]: file "/dir/certs.d/r.test/no-key.pem": no such file',
    '/dir/certs.d/_default/hosts.toml:1:1: ca: file "/dir/certs.d/_default/no-ca.pem": no such file',
  ]);
});
