import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleProgram } from '../support/program.ts';
import { type ProxyOptions, startProxy } from '../support/proxy.ts';
import { type Certificate, certificateFolder, serverCertificate } from './support/certificates.ts';
import { createCleanup } from './support/cleanup.ts';
import { makeImages } from './support/images.ts';
import { blobsOf } from './support/layout-tools.ts';
import { run, runNode } from './support/process.ts';
import { type RegistryServer, startRegistry } from './support/registry.ts';
import { push } from './support/skopeo.ts';
import { describeWith } from './support/tools.ts';

const login = { username: 'reader', password: 'open sesame' };
/** Only the proxy knows where it is. */
const reference = 'registry.test/team/app:v1';
const joe = `Basic ${Buffer.from('joe:s3cret').toString('base64')}`;

describeWith(
  ['docker-registry', 'skopeo', 'htpasswd', 'openssl', 'zstd', 'tar'],
  'a registry with TLS and a login, behind a forward proxy',
  () => {
    const cleanup = createCleanup();
    let certificate: Certificate & { readonly ca: string };
    let registry: RegistryServer;
    let program: string;

    beforeAll(async () => {
      const folder = await cleanup.folder();
      const images = await makeImages(cleanup);
      certificate = await serverCertificate(folder);
      registry = await startRegistry(cleanup, { tls: certificate, login });
      const certificates = await certificateFolder(folder, certificate.ca);
      await push(folder, images.layout, 'gzip', `${registry.host}/team/app:v1`, { login, certificates });
      const bundle = await bundleProgram();
      cleanup.add(bundle.remove);
      program = bundle.program;
    });
    afterAll(() => cleanup.close());

    /** The home of a user who trusts the CA, and the variables that both programs are run with. */
    async function prepare(variables: Readonly<Record<string, string>>) {
      const home = await cleanup.folder();
      const trusted = join(home, '.config', 'containers', 'certs.d', 'registry.test');
      await mkdir(trusted, { recursive: true });
      await writeFile(join(trusted, 'ca.crt'), await readFile(certificate.ca));
      await writeFile(join(home, 'registries.conf'), '');
      await writeFile(join(home, 'auth.json'), '{}');
      const env = {
        PATH: process.env.PATH,
        HOME: home,
        TMPDIR: home,
        REGISTRY_AUTH_FILE: join(home, 'auth.json'),
        CONTAINERS_REGISTRIES_CONF: join(home, 'registries.conf'),
        ...variables,
      };
      const skopeo = (...args: string[]) => run('skopeo', ['--insecure-policy', ...args], { env, cwd: home });
      const ocifetch = (...args: string[]) => runNode([program, ...args], { env, cwd: home });
      return { home, skopeo, ocifetch };
    }

    test.each<[string, ProxyOptions, boolean]>([
      ['a proxy', {}, false],
      ['a proxy that requires a login', { login: joe }, false],
      ['a proxy that speaks TLS', { login: joe }, true],
    ])(
      'through %s, the command line pulls what skopeo does, with the same variables and login',
      async (_, options, isTls) => {
        const [key, cert] = await Promise.all(
          [certificate.key, certificate.cert].map((path) => readFile(path, 'utf8')),
        );
        const tls = isTls && key !== undefined && cert !== undefined ? { key, cert } : undefined;
        const proxy = await startProxy({ behind: Number(new URL(registry.url).port), ...options, tls });
        const url = options.login ? proxy.url.replace('://', '://joe:s3cret@') : proxy.url;
        const { home, skopeo, ocifetch } = await prepare({
          HTTPS_PROXY: url,
          // Each reads one of them.
          ...(isTls && { NODE_EXTRA_CA_CERTS: certificate.ca, SSL_CERT_FILE: certificate.ca }),
        });
        const used = new Set([`CONNECT registry.test:443 ${options.login ?? 'anonymous'}`]);
        await skopeo('login', '--username', login.username, '--password', login.password, 'registry.test');
        await skopeo('copy', '--quiet', '--preserve-digests', `docker://${reference}`, 'oci:theirs:v1');
        expect(new Set(proxy.log.splice(0))).toEqual(used);
        expect(await ocifetch('pull', '--quiet', reference, 'ours')).toMatchObject({ code: 0, stderr: '' });
        expect(new Set(proxy.log)).toEqual(used);
        expect(await blobsOf(join(home, 'ours'))).toEqual(await blobsOf(join(home, 'theirs')));
      },
    );

    test('a proxy that refuses the login is reported, by both without its password', async () => {
      const proxy = await startProxy({ behind: Number(new URL(registry.url).port), login: joe });
      const { skopeo, ocifetch } = await prepare({ HTTPS_PROXY: proxy.url.replace('://', '://joe:guessed@') });
      await expect(skopeo('inspect', `docker://${reference}`)).rejects.toThrow('Proxy Authentication Required');
      const { code, stdout, stderr } = await ocifetch('manifest', reference);
      expect([code, stdout]).toEqual([6, '']);
      expect(stderr).toContain('407');
      expect(stderr).not.toMatch(/guessed|am9lOmd1ZXNzZWQ/);
    });

    test.each(['registry.test', '.test', 'other.test,registry.test:443'])(
      'with NO_PROXY=%s, neither uses the proxy',
      async (hosts) => {
        const proxy = await startProxy({ behind: Number(new URL(registry.url).port) });
        const { skopeo, ocifetch } = await prepare({ HTTPS_PROXY: proxy.url, NO_PROXY: hosts });
        await expect(skopeo('inspect', `docker://${reference}`)).rejects.toThrow(/lookup registry\.test/);
        const { code, stderr } = await ocifetch('manifest', '--retries', '0', reference);
        expect([code, stderr]).toEqual([6, expect.stringContaining('registry.test')]);
        expect(proxy.log).toEqual([]);
      },
    );
  },
);
