import type { ServerResponse } from 'node:http';
import { sleep } from '../abort.ts';
import { problem } from '../server/registry/problem.ts';
import { bytesOf, concat, isBytes } from './archive.ts';
import type { AnyFault, TestRequest } from './faults.ts';
import type { OpenRequest } from './script.ts';

/** How a response ends: as it should, or by one of the breaks of a fault. */
export type ResponseEnd = 'end' | 'cut' | 'reset' | 'stall';

/** The break before the head of a response. */
export function breakOfHead({ cut, reset, stall }: AnyFault): ResponseEnd | undefined {
  if (cut === 'head') return 'cut';
  if (reset === 'head') return 'reset';
  return stall === 'head' ? 'stall' : undefined;
}

/** Where a body ends, and how. */
function breakOfBody({ cut, reset, stall, shorten }: AnyFault): { readonly at: number; readonly end: ResponseEnd } {
  if (typeof cut === 'number') return { at: cut, end: 'cut' };
  if (typeof reset === 'number') return { at: reset, end: 'reset' };
  if (typeof stall === 'number') return { at: stall, end: 'stall' };
  return { at: shorten ?? Number.POSITIVE_INFINITY, end: 'end' };
}

/** The codes of the specification for statuses that a fault names. */
const codes = { 400: 'UNSUPPORTED', 401: 'UNAUTHORIZED', 403: 'DENIED', 405: 'UNSUPPORTED' } as const;
const missing = { manifest: 'MANIFEST_UNKNOWN', blob: 'BLOB_UNKNOWN', upload: 'BLOB_UPLOAD_UNKNOWN' } as const;

function codeOf(status: number, { kind }: TestRequest) {
  if (status === 404) return kind in missing ? missing[kind as keyof typeof missing] : 'NAME_UNKNOWN';
  if (status === 429) return 'TOOMANYREQUESTS';
  return status in codes ? codes[status as keyof typeof codes] : 'UNKNOWN';
}

/** The response that a fault has in place of the registry's; undefined if it has none. */
export function responseOf({ status, rateLimit }: AnyFault, request: TestRequest): Response | undefined {
  if (rateLimit !== undefined) {
    return problem(429, 'TOOMANYREQUESTS', 'Too many requests', { 'retry-after': String(rateLimit) });
  }
  if (status === undefined) return undefined;
  if (status < 400) return new Response(null, { status });
  return problem(status, codeOf(status, request), `A fault of the test: status ${status}`);
}

/**
 * Sends a response as the fault of the request wants it, and returns how it must end. Its body is read to its end or cancelled, also if the
 * client leaves.
 */
export async function sendFaulty(
  response: Response,
  outgoing: ServerResponse,
  request: OpenRequest,
): Promise<ResponseEnd> {
  const { fault = {} } = request;
  const whole = await changedBody(response, fault);
  for (const [name, value] of response.headers) outgoing.appendHeader(name, value);
  if (whole) outgoing.setHeader('content-length', whole.length);
  if (fault.shorten !== undefined) outgoing.removeHeader('content-length');
  for (const [name, value] of Object.entries(fault.headers ?? {})) {
    if (value === null) outgoing.removeHeader(name);
    else outgoing.setHeader(name, value);
  }
  outgoing.writeHead(response.status);
  request.status = response.status;
  if (request.method === 'HEAD') {
    await response.body?.cancel();
    return 'end';
  }
  // A body that stalls before its first byte has a head, too.
  outgoing.flushHeaders();
  const { at, end } = breakOfBody(fault);
  request.bytes = 0;
  for await (const chunk of paced(whole ? [whole] : (response.body ?? []), fault.speed)) {
    const part = chunk.subarray(0, at - request.bytes);
    if (part.length > 0) await new Promise((resolve) => outgoing.write(part, resolve));
    request.bytes += part.length;
    if (outgoing.destroyed || part.length < chunk.length) return end;
  }
  return 'end';
}

/** The whole body, if a fault changes it. */
async function changedBody(
  response: Response,
  { body, change, wrongBytes }: AnyFault,
): Promise<Uint8Array | undefined> {
  if (body === undefined && change === undefined && wrongBytes === undefined) return undefined;
  const own = new Uint8Array(await response.arrayBuffer());
  const given = body === undefined ? own : isBytes(body) || typeof body === 'string' ? body : JSON.stringify(body);
  const changed = concat([bytesOf(change ? change(bytesOf(given)) : given)]);
  const wrong = Math.min(wrongBytes ?? Number.POSITIVE_INFINITY, changed.length - 1);
  if (wrongBytes !== undefined && wrong >= 0) changed[wrong] = (changed[wrong] ?? 0) ^ 1;
  return changed;
}

/** Pieces of 20 ms each, if there is a limit: bytes in a second. */
async function* paced(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  speed: number | undefined,
): AsyncGenerator<Uint8Array> {
  const size = speed === undefined ? Number.POSITIVE_INFINITY : Math.ceil(speed / 50);
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += size) {
      const piece = chunk.subarray(at, at + size);
      if (speed !== undefined) await sleep((piece.length / speed) * 1000);
      yield piece;
    }
  }
}
