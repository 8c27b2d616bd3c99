import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { bundleProgram } from '../support/program.ts';
import { certificateFolder, serverCertificate } from './support/certificates.ts';
import { createCleanup } from './support/cleanup.ts';
import { makeImages } from './support/images.ts';
import { blobsOf } from './support/layout-tools.ts';
import { addresses, namespaceProblem, runInNamespace } from './support/namespace.ts';
import { describeWith, locate, type Tool } from './support/tools.ts';

const reference = 'registry.test:5000/team/app:v1';

/** A registry; skopeo pushes to it by its name, and pulls; then the command line pulls. */
const script = `
reached=0
timeout 2 bash -c "exec 3<>/dev/tcp/$DEAD/5000" || reached=$?
echo "dead $reached"
docker-registry serve "$FILES/config.yml" >registry.log 2>&1 &
copy() { skopeo --insecure-policy copy --quiet --preserve-digests "$@"; }
pushed=no
for try in {1..50}; do
  copy --dest-cert-dir "$TRUSTED" "oci:$LAYOUT:gzip" docker://${reference} 2>push.log && pushed=yes && break
  sleep 0.2
done
[ $pushed = yes ] || cat push.log registry.log >&2
copy --src-cert-dir "$TRUSTED" docker://${reference} oci:theirs:v1
begun=$(date +%s%3N)
"$NODE" "$PROGRAM" pull --no-discover ${reference} ours
echo "took $(($(date +%s%3N) - begun))"
`;

describeWith(
  ['unshare', 'ip', 'bash', 'docker-registry', 'skopeo', 'openssl', 'zstd', 'tar'],
  'a registry with an address of each family, of which one is dead',
  () => {
    const cleanup = createCleanup();
    let problem: string | undefined;
    let files: string;
    let variables: NodeJS.ProcessEnv;

    beforeAll(async () => {
      problem = await namespaceProblem(cleanup);
      if (problem !== undefined) return;
      const { program, remove } = await bundleProgram();
      cleanup.add(remove);
      files = await cleanup.folder();
      const { ca, ...tls } = await serverCertificate(files);
      const config = {
        version: '0.1',
        log: { level: 'error' },
        storage: { filesystem: { rootdirectory: join(files, 'storage') } },
        http: { addr: ':5000', secret: 'interop', tls: { certificate: tls.cert, key: tls.key } },
      };
      await writeFile(join(files, 'config.yml'), JSON.stringify(config)); // JSON is YAML
      const tools: readonly Tool[] = ['docker-registry', 'skopeo', 'ip', 'bash'];
      variables = {
        PATH: [...tools.map((tool) => dirname(locate(tool) ?? tool)), process.env.PATH].join(':'),
        FILES: files,
        TRUSTED: await certificateFolder(files, ca),
        NODE_EXTRA_CA_CERTS: ca,
        LAYOUT: (await makeImages(cleanup)).layout,
        NODE: process.execPath,
        PROGRAM: program,
      };
    });
    beforeEach(({ skip }) => {
      if (problem === undefined) return;
      console.warn(`No network of its own is permitted here: ${problem}`);
      skip('no network of its own is permitted here');
    });
    afterAll(() => cleanup.close());

    test.each([
      ['IPv6', 'IPv4', addresses.dead.ipv6, addresses.live.ipv4, 'verbatim'],
      ['IPv4', 'IPv6', addresses.dead.ipv4, addresses.live.ipv6, 'ipv4first'],
    ])('%s comes first and leads nowhere: a pull over %s takes seconds', async (...[, , dead, live, order]) => {
      const { folder, output } = await runInNamespace(cleanup, script, {
        hosts: [dead, live].map((address) => `${address} registry.test`),
        env: { ...variables, DEAD: dead, NODE_OPTIONS: `--dns-result-order=${order}` },
      });
      const [tried, ...rest] = output.trim().split('\n');
      // Given up after two seconds without any response.
      expect(tried).toBe('dead 124');
      // One attempt that is waited for takes the ten seconds of `timeouts.connect`.
      expect(Number(/^took (\d+)$/.exec(rest.at(-1) ?? '')?.[1])).toBeLessThan(9_000);
      expect(await blobsOf(join(folder, 'ours'))).toEqual(await blobsOf(join(folder, 'theirs')));
    });
  },
);
