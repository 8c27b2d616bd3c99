import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import type { Containerd } from './containerd.ts';
import { blobsOf, type LayoutTools, linesOf } from './layout-tools.ts';

/** What another client does with a registry; each throws if it fails. */
export interface RegistryClient {
  /** Pushes an image of a layout that has it as `v1`, with all platforms. `staged` is the same image in another registry. */
  push(image: { readonly layout: string; readonly staged: string }, target: string): Promise<unknown>;
  /** Pulls an image with all platforms, and returns the digests of all that it got. */
  pull(reference: string): Promise<string[]>;
  copy(from: string, to: string): Promise<unknown>;
  /** Those of a repository, if it can list them. */
  tags?(repository: string): Promise<string[]>;
  repositories?(host: string): Promise<string[]>;
  /** Removes an image, or only its tag. */
  remove?(reference: string): Promise<unknown>;
}

/** Clients that pull into a layout of their own. */
function layoutClients(cleanup: Cleanup, { skopeo, crane, regctl, oras }: LayoutTools) {
  const into = async (pull: (folder: string) => Promise<unknown>): Promise<string[]> => {
    const folder = join(await cleanup.folder(), 'layout');
    await pull(folder);
    return blobsOf(folder);
  };
  const all = ['copy', '--all', '--preserve-digests'];
  const plain = ['--from-plain-http', '--to-plain-http'];
  return {
    skopeo: {
      push: ({ layout }, target) => skopeo(...all, `oci:${layout}:v1`, `docker://${target}`),
      pull: (reference) => into((folder) => skopeo(...all, `docker://${reference}`, `oci:${folder}:v1`)),
      copy: (from, to) => skopeo(...all, `docker://${from}`, `docker://${to}`),
      tags: async (repository) => JSON.parse(await skopeo('list-tags', `docker://${repository}`)).Tags,
      remove: (reference) => skopeo('delete', `docker://${reference}`),
    },
    crane: {
      push: ({ layout }, target) => crane('push', layout, target),
      pull: (reference) => into((folder) => crane('pull', '--format', 'oci', reference, folder)),
      copy: (from, to) => crane('copy', from, to),
      tags: async (repository) => linesOf(await crane('ls', repository)),
      repositories: async (host) => linesOf(await crane('catalog', host)),
      remove: (reference) => crane('delete', reference),
    },
    regctl: {
      push: ({ layout }, target) => regctl('image', 'copy', `ocidir://${layout}:v1`, target),
      pull: (reference) => into((folder) => regctl('image', 'copy', reference, `ocidir://${folder}:v1`)),
      copy: (from, to) => regctl('image', 'copy', from, to),
      tags: async (repository) => linesOf(await regctl('tag', 'ls', repository)),
      repositories: async (host) => linesOf(await regctl('repo', 'ls', host)),
      remove: (reference) => regctl('tag', 'delete', reference),
    },
    oras: {
      push: ({ layout }, target) =>
        oras('cp', '--no-tty', '--from-oci-layout', `${layout}:v1`, '--to-plain-http', target),
      pull: (reference) =>
        into((folder) => oras('cp', '--no-tty', '--from-plain-http', reference, '--to-oci-layout', `${folder}:v1`)),
      copy: (from, to) => oras('cp', '--no-tty', ...plain, from, to),
      tags: async (repository) => linesOf(await oras('repo', 'tags', '--plain-http', repository)),
      repositories: async (host) => linesOf(await oras('repo', 'ls', '--plain-http', host)),
      remove: (reference) => oras('manifest', 'delete', '--force', '--plain-http', reference),
    },
  } satisfies Record<string, RegistryClient>;
}

/** containerd's client keeps what it has of all images in one place, and neither lists nor removes what registries have. */
function containerdClient({ ctr }: Containerd): RegistryClient {
  const push = async (from: string, to: string): Promise<void> => {
    await ctr('push', 'content', 'fetch', '--plain-http', '--all-platforms', from);
    await ctr('push', 'images', 'push', '--plain-http', to, from);
  };
  return {
    push: ({ staged }, target) => push(staged, target),
    pull: async (reference) => {
      const own = randomUUID();
      await ctr(own, 'content', 'fetch', '--plain-http', '--all-platforms', reference);
      return linesOf(await ctr(own, 'content', 'ls', '-q')).sort();
    },
    copy: push,
  };
}

export const registryClients = (cleanup: Cleanup, tools: LayoutTools, containerd: Containerd) => ({
  ...layoutClients(cleanup, tools),
  containerd: containerdClient(containerd),
});

export const clientNames = ['skopeo', 'crane', 'regctl', 'oras', 'containerd'] as const;
