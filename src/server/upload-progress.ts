import type { Digest } from '../oci/digest.ts';
import { type Exchange, lengthOf } from './exchange.ts';
import { problem } from './problem.ts';
import type { Upload } from './upload-sessions.ts';

export const created = ({ repository }: Exchange, digest: Digest): Response =>
  new Response(null, {
    status: 201,
    headers: { location: `/v2/${repository.name}/blobs/${digest}`, 'docker-content-digest': digest },
  });

const placeOf = ({ repository }: Exchange, { id, size }: Upload): Record<string, string> => ({
  location: `/v2/${repository.name}/blobs/uploads/${id}`,
  // An upload that is empty says so as one of a single byte does: the form has no other way.
  range: `0-${Math.max(0, size - 1)}`,
  'docker-upload-uuid': id,
});

export const progress = (status: number, exchange: Exchange, upload: Upload): Response =>
  new Response(null, { status, headers: placeOf(exchange, upload) });

export const outOfOrder = (exchange: Exchange, upload: Upload, found: string): Response =>
  problem(416, 'RANGE_INVALID', `Cannot add to upload "${upload.id}": ${found}`, placeOf(exchange, upload));

export const wrongSize = (size: number): Response =>
  problem(400, 'SIZE_INVALID', `The chunk has ${size} bytes, not those of its Content-Range`);

/** Where the chunk says it belongs, `first-last`; undefined where it does not say: then it is the next. */
export function chunkRange({ request }: Exchange): { readonly start: number; readonly size: number } | undefined {
  const header = request.headers.get('content-range');
  if (header === null) return undefined;
  const [, first, last] = /^(\d{1,15})-(\d{1,15})$/.exec(header) ?? [];
  return { start: Number(first), size: Number(last) - Number(first) + 1 };
}

/** The answer to a chunk that is not the next, or whose length is not its range's. */
export function misplaced(exchange: Exchange, upload: Upload): Response | undefined {
  const range = chunkRange(exchange);
  if (!range) return undefined;
  if (range.start !== upload.size) return outOfOrder(exchange, upload, `the next byte is ${upload.size}`);
  const length = lengthOf(exchange.request);
  return length !== undefined && length !== range.size ? wrongSize(length) : undefined;
}
