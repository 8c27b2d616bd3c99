// An image behind each kind of server, and the origins that clients pull it from.
import { startRegistryOf } from './docker-registry.ts';
import { type FileServer, startFileServer } from './file-server.ts';
import { type Image, makeImage } from './images.ts';
import { programPath } from './programs.ts';
import type { Origin } from './pulls.ts';
import type { Setting } from './scenario.ts';

export interface Served {
  readonly image: Image;
  readonly server: FileServer;
  readonly plain: Origin;
  readonly tls: Origin;
}

export async function serveImage({ cleanup }: Setting, sizes: readonly number[]): Promise<Served> {
  const image = await makeImage(cleanup, sizes);
  const server = await startFileServer(cleanup, image);
  const common = { repository: image.repository, blobs: image.layers.length + 2, counts: server.counts };
  return {
    image,
    server,
    plain: { ...common, host: server.plain },
    tls: { ...common, host: server.tls, ca: server.ca },
  };
}

/** The same image at docker-registry; undefined if this machine has none, or no other programs are wanted. */
export async function serveByRegistry({ cleanup, hasPeers }: Setting, image: Image): Promise<Origin | undefined> {
  const program = hasPeers ? programPath('docker-registry') : undefined;
  if (!program) return undefined;
  const { host, counts } = await startRegistryOf(cleanup, program, image);
  return { host, counts, repository: image.repository, blobs: image.layers.length + 2 };
}
