import { createHash } from 'node:crypto';
import { parseDigest } from 'ocifetch';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCleanup } from './support/cleanup.ts';
import { openClient } from './support/pull.ts';
import { type RegistryServer, startRegistry } from './support/registry.ts';
import { describeWith } from './support/tools.ts';

const types = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  signature: 'application/vnd.example.signature',
};

const described = (mediaType: string, bytes: Buffer) => ({
  mediaType,
  digest: parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`),
  size: bytes.length,
});

describeWith(['docker-registry'], "Debian's registry", () => {
  const cleanup = createCleanup();
  let registry: RegistryServer;

  beforeAll(async () => {
    registry = await startRegistry(cleanup);
  });
  afterAll(() => cleanup.close());

  const send = async (path: string, method: string, type: string, bytes: Buffer): Promise<Response> => {
    const response = await fetch(new URL(path, registry.url), {
      method,
      body: new Uint8Array(bytes),
      headers: { 'content-type': type },
    });
    if (!response.ok) throw new Error(`Cannot ${method} "${path}": ${response.status} ${await response.text()}`);
    return response;
  };

  const putBlob = async (name: string, mediaType: string, bytes: Buffer) => {
    const descriptor = described(mediaType, bytes);
    const begun = await send(`/v2/${name}/blobs/uploads/`, 'POST', 'application/octet-stream', Buffer.alloc(0));
    const place = new URL(begun.headers.get('location') ?? '', registry.url);
    place.searchParams.set('digest', descriptor.digest);
    await send(place.href, 'PUT', 'application/octet-stream', bytes);
    return descriptor;
  };

  const putDocument = async (name: string, mediaType: string, fields: object, tags: readonly string[] = []) => {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...fields }));
    const descriptor = described(mediaType, bytes);
    for (const reference of [descriptor.digest, ...tags]) {
      await send(`/v2/${name}/manifests/${reference}`, 'PUT', mediaType, bytes);
    }
    return descriptor;
  };

  const putImage = async (name: string, fields: object = {}, tags: readonly string[] = []) => {
    const config = await putBlob(name, types.config, Buffer.from('{}'));
    return putDocument(name, types.manifest, { config, layers: [], ...fields }, tags);
  };

  // It does not support pages: a client that takes a full list for a page sends one more request, and gets the same list.
  test.each([
    [3, ['']],
    [100, ['', '?last=…']],
  ])('%i tags are listed, sorted, each once', async (count, queries) => {
    const name = `lists/of-${count}`;
    const tags = Array.from({ length: count }, (_, index) => `v${(index * 37) % 101}`);
    await putImage(name, {}, tags);
    await registry.requests();
    expect(await openClient(cleanup, {}).fetcher(`${registry.host}/${name}`).tags()).toEqual([...tags].sort());
    const requests = (await registry.requests()).map((line) => line.replace(/last=\S+/, 'last=…'));
    expect(requests).toEqual(queries.map((query) => `GET /v2/${name}/tags/list${query} 200`));
  });

  test('a repository that does not exist is NOT_FOUND, and so is one without tags', async () => {
    await putImage('lists/untagged');
    for (const name of ['lists/none', 'lists/untagged']) {
      const listing = openClient(cleanup, {}).fetcher(`${registry.host}/${name}`).tags();
      await expect(listing).rejects.toMatchObject({ code: 'NOT_FOUND', registryErrors: ['NAME_UNKNOWN'] });
    }
  });

  test('referrers are read from the tag of the referrers tag schema; without that tag there are none', async () => {
    const name = 'lists/signed';
    const subject = await putImage(name, {}, ['v1']);
    const fetcher = openClient(cleanup, {}).fetcher(`${registry.host}/${name}`);
    await registry.requests();
    expect(await fetcher.referrers(subject.digest)).toEqual([]);
    const tag = subject.digest.replace(':', '-');
    expect(await registry.requests()).toEqual([
      `GET /v2/${name}/manifests/${tag} 404`,
      `GET /v2/${name}/referrers/${subject.digest} 404`,
    ]);
    const signature = {
      ...(await putImage(name, { subject, artifactType: types.signature })),
      artifactType: types.signature,
      annotations: { 'org.example.by': 'Ann' },
    };
    const other = await putImage(name, { subject });
    await putDocument(name, types.index, { manifests: [signature, other] }, [tag]);
    expect(await fetcher.referrers(subject.digest)).toEqual([signature, other]);
    expect(await fetcher.referrers(subject.digest, { artifactType: types.signature })).toEqual([signature]);
    expect(await fetcher.referrers(subject.digest, { artifactType: types.config })).toEqual([
      { ...other, artifactType: types.config },
    ]);
    expect(await fetcher.tags()).toEqual([tag, 'v1']);
  });

  test('both lists are read through a mirror that has neither', async () => {
    const name = 'lists/mirrored';
    const subject = await putImage(name, {}, ['v1', 'v2']);
    const signature = { ...(await putImage(name, { subject })), artifactType: types.signature };
    await putDocument(name, types.index, { manifests: [signature] }, [subject.digest.replace(':', '-')]);
    const empty = await startRegistry(cleanup);
    const registries = { [registry.host]: { mirrors: [{ url: empty.url }] } };
    const fetcher = openClient(cleanup, { config: { registries } }).fetcher(`${registry.host}/${name}`);
    expect(await fetcher.referrers(subject.digest)).toEqual([signature]);
    expect(await fetcher.tags()).toEqual([subject.digest.replace(':', '-'), 'v1', 'v2']);
  });
});
