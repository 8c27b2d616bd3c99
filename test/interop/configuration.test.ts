import { delimiter, join } from 'node:path';
import { type Client, type Endpoint, loadConfig } from 'ocifetch';
import { memoryStore } from 'ocifetch/server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cleanup, createCleanup } from './support/cleanup.ts';
import { type At, type Case, type Kind, kinds, writeCase } from './support/configured.ts';
import { copyWithRegctl } from './support/configured-regctl.ts';
import { copyAsConfigured } from './support/configured-skopeo.ts';
import { type Containerd, startContainerd } from './support/containerd.ts';
import { hostsTomlCases, ownHostsTomlCases } from './support/hosts-toml-cases.ts';
import { authFileCases, dockerConfigCases } from './support/logins-cases.ts';
import { ownFileCases } from './support/own-cases.ts';
import { toFetch, toFetchByDigest, toResolve, withTokens } from './support/planned-requests.ts';
import { openClient, pullAll } from './support/pull.ts';
import { type Behaviour, hostsByPiece, type RecordedRequest, startHosts } from './support/recording-hosts.ts';
import { failingRegctlCases, ownRegctlCases, regctlCases } from './support/regctl-cases.ts';
import { blockedCases, ownBlockedCases, registriesConfCases } from './support/registries-conf-cases.ts';
import { registriesYamlCases } from './support/registries-yaml-cases.ts';
import { putSmallImage } from './support/small-image.ts';
import { describeWith } from './support/tools.ts';

interface Prepared {
  readonly client: Client;
  /** The folder of the files that the tool reads, and the home folder that has it. */
  readonly folder: string;
  readonly home: string;
  readonly repository: string;
  /** `registry/name:v1`, or with a digest if the case has one. */
  readonly reference: string;
  /** `manifests/v1` or `manifests/sha256:…`. */
  readonly named: string;
  /** The requests to the hosts since the last call. */
  readonly requests: () => RecordedRequest[];
  readonly at: At;
}

let images = 0;

/**
 * Starts the hosts of a case, with an image that no tool has pulled before, and reads its files. If `behaviour` is given, all
 * hosts have it and require tokens.
 */
async function prepare(
  cleanup: Cleanup,
  kind: Kind,
  { hosts, tls, files, repository, byDigest }: Case,
  behaviour?: Behaviour,
): Promise<Prepared> {
  const store = memoryStore();
  const { digest } = await putSmallImage(store, `image ${process.pid} ${++images}`);
  const all = Object.fromEntries(Object.entries(hosts).map(([key, own]) => [key, behaviour ?? own]));
  const { at, requests } = await startHosts(cleanup, all, () => store, { tls, tokens: behaviour !== undefined });
  const home = await cleanup.folder();
  const folder = await writeCase(home, kind, files(at));
  const name = repository(at);
  return {
    // Others ask a host that has nothing of an image for each part of it.
    client: openClient(cleanup, { config: await loadConfig(kind.options(folder)), timeouts: { pause: 0 } }),
    folder,
    home,
    repository: name,
    reference: byDigest ? `${name}@${digest}` : `${name}:v1`,
    named: `manifests/${byDigest ? digest : 'v1'}`,
    requests,
    at,
  };
}

/** As containerd pulls: first what the reference names, then everything by its digest. */
async function pullByDigests({ client, reference, repository }: Prepared): Promise<void> {
  const { descriptor } = await client.resolve(reference);
  await pullAll(client, `${repository}@${descriptor.digest}`);
}

/**
 * Without the requests for a named manifest as a blob, for the comparison with other tools. If a host has no manifest with a
 * digest, the digest may be that of a blob: ocifetch then requests it from the same host at once, containerd from all hosts after
 * none had the manifest, and skopeo never. The comparison of run and plan, below, tests these requests of ocifetch.
 */
function asManifests(requests: readonly RecordedRequest[]): RecordedRequest[] {
  const pieces = new Set(requests.map(({ piece }) => piece));
  return requests.filter(
    ({ piece }) => !piece.startsWith('blobs/') || !pieces.has(piece.replace('blobs/', 'manifests/')),
  );
}

/** containerd and ocifetch may request a content more than once from a host (HEAD, then GET): the first requests are compared. */
describeWith(['containerd', 'ctr'], 'ocifetch contacts the hosts of a hosts.toml in the order of containerd', () => {
  const cleanup = createCleanup();
  let containerd: Containerd;

  beforeAll(async () => {
    containerd = await startContainerd(cleanup);
  });
  afterAll(() => cleanup.close());

  test.each(hostsTomlCases)('$name', async (one) => {
    const prepared = await prepare(cleanup, kinds.hostsDirectory, one);
    await containerd.fetch(prepared.reference, prepared.folder);
    const expected = hostsByPiece(asManifests(prepared.requests()));
    await pullByDigests(prepared);
    expect(hostsByPiece(asManifests(prepared.requests()))).toEqual(expected);
    // The tag, if there is one; index, manifest, config and layer.
    expect(Object.keys(expected)).toHaveLength(one.byDigest ? 4 : 5);
  });
});

/**
 * skopeo chooses one host by the manifest that the reference names, and requests everything else from it; ocifetch chooses for
 * each request. So the order is compared for that manifest, and only the host that sent it for the rest. The rest is not
 * compared if hosts are only for tags or only for digests: skopeo applies that to the reference, ocifetch to each request.
 * skopeo sends no `ns`.
 */
describeWith(['skopeo'], 'ocifetch contacts the hosts of a registries.conf in the order of skopeo', () => {
  const cleanup = createCleanup();
  afterAll(() => cleanup.close());

  const show = ({ host, base }: RecordedRequest): string => `${host} ${base}`;

  test.each(registriesConfCases)('$name', async (one) => {
    const prepared = await prepare(cleanup, kinds.registriesConf, one);
    const { client, home, reference, named, requests } = prepared;
    await copyAsConfigured(home, reference);
    const { [named]: expectedOrder, ...expectedRest } = hostsByPiece(asManifests(requests()), show);
    await pullAll(client, reference);
    const { [named]: order, ...rest } = hostsByPiece(asManifests(requests()), show);
    expect(order).toEqual(expectedOrder);
    const isForAll = ({ capabilities }: Endpoint): boolean => capabilities.length === 3;
    if (client.plan(reference).endpoints.every(isForAll)) expect(lastOf(rest)).toEqual(lastOf(expectedRest));
    // Manifest, config and layer.
    expect([Object.keys(rest).length, Object.keys(expectedRest).length]).toEqual([3, 3]);
  });

  test.each(blockedCases)('blocked: $name', async (one) => {
    const { client, home, reference, requests } = await prepare(cleanup, kinds.registriesConf, one);
    await expect(copyAsConfigured(home, reference)).rejects.toThrow(/blocked/);
    const refusal = { code: 'NO_HOSTS', message: expect.stringContaining('blocked') };
    await expect(client.resolve(reference)).rejects.toMatchObject(refusal);
    expect(requests()).toEqual([]);
  });
});

/** regctl and ocifetch may also request a content more than once from a host. */
describeWith(['regctl'], 'ocifetch contacts the hosts of a config.json in the order of regctl', () => {
  const cleanup = createCleanup();
  afterAll(() => cleanup.close());

  const bothOrders = async (one: Case) => {
    const { client, folder, home, reference, named, requests } = await prepare(cleanup, kinds.regctlConfig, one);
    await copyWithRegctl(home, join(folder, 'config.json'), reference);
    const expected = hostsByPiece(asManifests(requests()));
    await pullAll(client, reference);
    return { expected, found: hostsByPiece(asManifests(requests())), named };
  };

  test.each(regctlCases.map((one) => [one.name, one] as const))('%s', async (_name, one) => {
    const { expected, found } = await bothOrders(one);
    expect(found).toEqual(expected);
    // Index, manifest, config and layer.
    expect(Object.keys(expected)).toHaveLength(4);
  });

  test.each(failingRegctlCases.map((one) => [one.name, one] as const))('first: %s', async (_name, one) => {
    const { expected, found, named } = await bothOrders(one);
    expect(found[named]).toEqual(expected[named]);
    expect(expected[named]?.length).toBeGreaterThan(1);
  });
});

/** The last host that was contacted for each content: the one that sent it. */
const lastOf = (hosts: Record<string, string[]>): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(hosts).map(([piece, names]) => [piece, names.at(-1)]));

/** Every configuration of the suite, each with its kind. */
const planned: readonly (Case & { readonly kind: Kind; readonly of: string })[] = [
  ...[...hostsTomlCases, ...ownHostsTomlCases].map((one) => ({ ...one, kind: kinds.hostsDirectory, of: 'hosts.toml' })),
  ...[...registriesConfCases, ...blockedCases, ...ownBlockedCases].map((one) => ({
    ...one,
    kind: kinds.registriesConf,
    of: 'registries.conf',
  })),
  ...registriesYamlCases.map((one) => ({ ...one, kind: kinds.registriesYaml, of: 'registries.yaml' })),
  ...[...regctlCases, ...failingRegctlCases, ...ownRegctlCases].map((one) => ({
    ...one,
    kind: kinds.regctlConfig,
    of: "regctl's config.json",
  })),
  ...dockerConfigCases.map((one) => ({ ...one, kind: kinds.dockerConfig, of: "Docker's config.json" })),
  ...authFileCases.map((one) => ({ ...one, kind: kinds.authFile, of: "Podman's auth.json" })),
  ...ownFileCases.map((one) => ({ ...one, kind: kinds.file, of: 'own file' })),
];

/**
 * The complete list of requests: all hosts are contacted, as none has the content. As each requires a token for the scope of
 * the request, scopes and logins are compared, too.
 */
describe('if no host has the content, all are contacted as the plan says, and nothing else is requested', () => {
  const cleanup = createCleanup();
  const path = process.env.PATH;
  afterAll(async () => {
    process.env.PATH = path;
    await cleanup.close();
  });

  const digest = `sha256:${'0'.repeat(64)}`;

  test.each(planned.map((one) => [`${one.of}: ${one.name}`, one] as const))('%s', async (_name, { kind, ...one }) => {
    const { client, folder, repository, reference, requests, at } = await prepare(cleanup, kind, one, 404);
    process.env.PATH = `${join(folder, 'bin')}${delimiter}${path}`;
    const plan = client.plan(reference);
    const code = plan.endpoints.length > 0 ? 'NOT_FOUND' : 'NO_HOSTS';
    await expect(client.resolve(reference)).rejects.toMatchObject({ code });
    expect(withTokens(requests(), at)).toEqual(toResolve(plan));
    const fetcher = client.fetcher(repository);
    const mediaType = 'application/octet-stream';
    await expect(fetcher.fetchByDigest(digest, { mediaType })).rejects.toMatchObject({ code });
    expect(withTokens(requests(), at)).toEqual(toFetch(plan, `blobs/${digest}`));
    await expect(fetcher.fetchByDigest(digest)).rejects.toMatchObject({ code });
    expect(withTokens(requests(), at)).toEqual(toFetchByDigest(plan, digest));
    expect(plan.endpoints.length + plan.skipped.length).toBeGreaterThan(0);
  });
});
