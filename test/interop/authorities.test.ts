import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleProgram } from '../support/program.ts';
import { type CertificateChain, certificateChain, certificateFolder } from './support/certificates.ts';
import { createCleanup } from './support/cleanup.ts';
import { makeImages } from './support/images.ts';
import { runNode } from './support/process.ts';
import { differences, openClient, pullAll } from './support/pull.ts';
import { type RegistryServer, startRegistry } from './support/registry.ts';
import { pull, push } from './support/skopeo.ts';
import { describeWith } from './support/tools.ts';

type Name = 'root' | 'intermediate' | 'sibling' | 'server';
type Sent = 'server' | 'chained';

describeWith(
  ['docker-registry', 'skopeo', 'openssl', 'zstd', 'tar'],
  'a registry whose certificate has an intermediate authority between it and the root',
  () => {
    const cleanup = createCleanup();
    let folder: string;
    let chain: CertificateChain;
    /** By what they send: only their own certificate, or the intermediate's, too. */
    let registries: Readonly<Record<Sent, RegistryServer>>;
    let program: string;

    beforeAll(async () => {
      folder = await cleanup.folder();
      const images = await makeImages(cleanup);
      chain = await certificateChain(folder);
      const [server, chained] = await Promise.all(
        [chain.server, chain.chained].map((tls) => startRegistry(cleanup, { tls })),
      );
      if (!server || !chained) throw new Error('Cannot test: a registry is missing');
      registries = { server, chained };
      for (const { host } of [server, chained]) await push(folder, images.layout, 'gzip', `${host}/team/app:v1`, {});
      const bundle = await bundleProgram();
      cleanup.add(bundle.remove);
      program = bundle.program;
    });
    afterAll(() => cleanup.close());

    const fileOf = (name: Name): string => (name === 'server' ? chain.server.cert : chain[name]);

    /** What is trusted, and what the server sends. Without the intermediate, nothing leads to the root. */
    const accepted: [Name, Sent][] = [
      ['intermediate', 'chained'],
      ['intermediate', 'server'],
      ['server', 'chained'],
      ['server', 'server'],
      ['root', 'chained'],
    ];
    const refused: [Name, Sent][] = [
      ['root', 'server'],
      ['sibling', 'chained'],
      ['sibling', 'server'],
    ];

    const openTrusting = (name: Name, { host, url }: RegistryServer) =>
      openClient(cleanup, {
        config: { registries: { [host]: { origin: { url, tls: { ca: [fileOf(name)] } } } } },
      });

    test.each(accepted)(
      'if the %s certificate is trusted and the file "%s" is sent, an image is pulled as skopeo pulls it',
      async (name, sent) => {
        const reference = `${registries[sent].host}/team/app:v1`;
        const certificates = await certificateFolder(folder, fileOf(name));
        const expected = await pull(folder, reference, { certificates });
        expect(differences(await pullAll(openTrusting(name, registries[sent]), reference), expected)).toEqual([]);
      },
    );

    test.each(refused)(
      'if the %s certificate is trusted and the file "%s" is sent, it is refused, as by skopeo',
      async (name, sent) => {
        const reference = `${registries[sent].host}/team/app:v1`;
        const certificates = await certificateFolder(folder, fileOf(name));
        await expect(pull(folder, reference, { certificates })).rejects.toThrow(/x509: .*unknown authority/);
        const client = openTrusting(name, registries[sent]);
        await expect(client.resolve(reference)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      },
    );

    test.each([...accepted.map((row) => [...row, 0] as const), ...refused.map((row) => [...row, 6] as const)])(
      'the command line with the %s certificate in NODE_EXTRA_CA_CERTS does the same if "%s" is sent',
      async (name, sent, code) => {
        const reference = `${registries[sent].host}/team/app:v1`;
        const env = { HOME: folder, NODE_EXTRA_CA_CERTS: fileOf(name) };
        const ran = await runNode([program, 'manifest', '--no-discover', reference], { env });
        expect([ran.code, ran.stdout.includes('"layers"')]).toEqual([code, code === 0]);
        expect(ran.stderr).toMatch(code === 0 ? /^warning: .* it speaks TLS/ : /certificate/);
      },
    );
  },
);
