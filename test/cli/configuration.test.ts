import { expect, test } from 'vitest';
import { sampleOf } from '../contract/source.ts';
import { httpServer } from '../support/http.ts';
import { folder, registry, run } from './support.ts';

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

test('a private address that an image refers to is refused, with the flag that allows it, and may be listed', async () => {
  const layer = sampleOf(new TextEncoder().encode('a layer from elsewhere'), 'application/vnd.oci.image.layer.v1.tar');
  const elsewhere = await httpServer((_request, response) => response.end(layer.bytes));
  const config = sampleOf(new TextEncoder().encode('{}'), 'application/vnd.example.config');
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const layers = [{ ...layer.descriptor, urls: [`http://localhost:${elsewhere.port}/layer`] }];
  const document = JSON.stringify({ schemaVersion: 2, mediaType: type, config: config.descriptor, layers });
  const root = { ...sampleOf(new TextEncoder().encode(document), type), tag: 'latest' };
  const { port } = await registry({ content: [config, root] });
  const { path } = await folder({});
  const pull = (...more: string[]) =>
    run(['pull', '--no-discover', ...more, `127.0.0.1:${port}/a`, path(`layout${more.length}`)]);
  const refused = await pull();
  expect(refused.code).toBe(8);
  expect(refused.err.join('\n')).toContain('--allow-private HOST');
  expect(refused.err.join('\n')).toContain(`allowPrivate does not list "localhost`);
  const flags = ['--allow-private', '10.0.0.0/8', '--allow-private', '127.0.0.0/8,::1'];
  expect(await pull(...flags)).toMatchObject({ code: 0 });
  expect((await pull('--allow-private', 'not a host')).code).toBe(3);
});
