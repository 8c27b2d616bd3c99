// Content for a registry server, pushed as every client does.
import { createHash, randomBytes } from 'node:crypto';

export interface Content {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export function contentOf(bytes: Uint8Array, mediaType = 'application/octet-stream'): Content {
  return { mediaType, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes };
}

/** Bytes that do not compress. */
export const noise = (size: number): Content => contentOf(randomBytes(size));

export const described = ({ mediaType, digest, bytes }: Content) => ({ mediaType, digest, size: bytes.length });

const checked = async (response: Response, status: number): Promise<Response> => {
  if (response.status !== status) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  await response.arrayBuffer();
  return response;
};

/** `repository`: the URL of one, `http://127.0.0.1:5000/v2/bench/app`. */
export async function pushBlob(repository: string, { digest, bytes }: Content): Promise<void> {
  const begun = await checked(await fetch(`${repository}/blobs/uploads/`, { method: 'POST' }), 202);
  const location = new URL(begun.headers.get('location') ?? '', repository);
  location.searchParams.set('digest', digest);
  const headers = { 'content-type': 'application/octet-stream' };
  const body = bytes as Uint8Array<ArrayBuffer>;
  await checked(await fetch(location, { method: 'PUT', headers, body }), 201);
}

export async function pushManifest(repository: string, { mediaType, bytes }: Content, tag: string): Promise<void> {
  const body = bytes as Uint8Array<ArrayBuffer>;
  const headers = { 'content-type': mediaType };
  await checked(await fetch(`${repository}/manifests/${tag}`, { method: 'PUT', headers, body }), 201);
}
