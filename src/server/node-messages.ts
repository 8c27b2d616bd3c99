import type { IncomingMessage, ServerResponse } from 'node:http';
import { cannot } from '../errors.ts';

export const clientGone = () => cannot('ABORTED', 'go on with the request', 'the client went away');

/** A web-standard request of Node's. Undefined for what is not a request to a server: `*`, `CONNECT` and `TRACE`, a `Host` that is none. */
export function requestOf(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  origin: string,
  signal: AbortSignal,
): Request | undefined {
  const target = incoming.url ?? '';
  const method = incoming.method ?? 'GET';
  const url = target.startsWith('/') ? `${origin}${target}` : target;
  if (!URL.canParse(url) || method === 'TRACE') return undefined;
  const headers = new Headers();
  for (let index = 0; index + 1 < incoming.rawHeaders.length; index += 2) {
    headers.append(incoming.rawHeaders[index] ?? '', incoming.rawHeaders[index + 1] ?? '');
  }
  if (method === 'GET' || method === 'HEAD') return new Request(url, { method, headers, signal });
  return new Request(url, { method, headers, signal, body: bodyOf(incoming, outgoing), duplex: 'half' } as RequestInit);
}

/** A request's body. Leaving it does not end the connection, which still has to carry the answer. */
function bodyOf(incoming: IncomingMessage, outgoing: ServerResponse): ReadableStream<Uint8Array> {
  let left = false;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const leave = (then: () => void) => {
          if (!left) then();
          left = true;
        };
        incoming.on('data', (chunk: Uint8Array) => {
          if (left || outgoing.writableFinished) return;
          controller.enqueue(chunk);
          incoming.pause();
        });
        incoming.on('end', () => leave(() => controller.close()));
        incoming.on('error', () => leave(() => controller.error(clientGone())));
        incoming.on('close', () => leave(() => controller.error(clientGone())));
        incoming.pause();
      },
      pull() {
        incoming.resume();
      },
      cancel() {
        left = true;
      },
    },
    { highWaterMark: 0 },
  );
}

/** Sends a response, waiting for the client where it is slow; cancels its body when the client is gone. */
export async function send(
  response: Response,
  method: string,
  outgoing: ServerResponse,
  gone: AbortSignal,
): Promise<void> {
  const reader = response.body?.getReader();
  const cancel = () => void reader?.cancel(gone.reason).catch(() => undefined);
  if (gone.aborted || method === 'HEAD') cancel();
  if (gone.aborted) return;
  outgoing.statusCode = response.status;
  for (const [name, value] of response.headers) outgoing.appendHeader(name, value);
  if (!reader || method === 'HEAD') return void outgoing.end();
  gone.addEventListener('abort', cancel, { once: true });
  for (;;) {
    const { done, value } = await reader.read();
    if (done || gone.aborted) break;
    if (!outgoing.write(value)) await drained(outgoing);
  }
  if (!gone.aborted) outgoing.end();
}

/** Until there is room for more, or nobody to take it. */
const drained = (outgoing: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      outgoing.off('drain', done);
      outgoing.off('close', done);
      resolve();
    };
    outgoing.on('drain', done);
    outgoing.on('close', done);
  });
