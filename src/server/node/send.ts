import type { ServerResponse } from 'node:http';
import { type Sending, sendingOf } from '../direct.ts';
import { clientGone, type Requester } from './request.ts';

/** Sends a response with backpressure; cancels its body when the client is gone. */
export async function send(
  response: Response,
  method: string,
  outgoing: ServerResponse,
  client: Requester,
): Promise<void> {
  const sending = sendingOf(response);
  if (sending && method !== 'HEAD') return sendDirectly(response, sending, outgoing, client);
  const reader = response.body?.getReader();
  const cancel = (reason?: unknown) => void reader?.cancel(reason).catch(() => undefined);
  if (client.isGone) return cancel(clientGone());
  if (!reader || method === 'HEAD') {
    cancel();
    writeHead(response, outgoing, method !== 'HEAD');
    return void outgoing.end();
  }
  client.onGone = cancel;
  for (;;) {
    const { done, value } = await reader.read();
    if (client.isGone) return;
    // One that fails before its first byte is another response.
    if (!outgoing.headersSent) writeHead(response, outgoing, done);
    if (done) break;
    if (!outgoing.write(value)) await drained(outgoing);
  }
  outgoing.end();
}

/** In one write, if the body is one chunk. A chunk is read while the one before is written. */
async function sendDirectly(response: Response, sending: Sending, outgoing: ServerResponse, client: Requester) {
  const cancel = (reason: unknown) => void Promise.resolve(sending.cancel(reason)).catch(() => undefined);
  if (client.isGone) return cancel(clientGone());
  client.onGone = cancel;
  let left = sending.size;
  let written: Promise<void> | undefined;
  while (left > 0) {
    const chunk = await sending.next();
    if (written) await written;
    if (!chunk || client.isGone) return;
    if (left === sending.size) writeHead(response, outgoing);
    left -= chunk.length;
    if (left === 0) outgoing.end(chunk);
    else written = sending.isLent ? flushed(outgoing, chunk) : outgoing.write(chunk) ? undefined : drained(outgoing);
  }
  if (sending.size === 0) {
    writeHead(response, outgoing);
    outgoing.end();
  }
  // So that it reaches its end.
  await sending.next();
}

/** `isEmpty`: there is a body, of no bytes. Node would send it in chunks. */
function writeHead({ status, headers }: Response, outgoing: ServerResponse, isEmpty = false): void {
  const lines: string[] = [];
  for (const [name, value] of headers) lines.push(name, value);
  const hasLength = headers.has('content-length') || headers.has('transfer-encoding') || [204, 304].includes(status);
  if (isEmpty && !hasLength) lines.push('content-length', '0');
  outgoing.writeHead(status, lines);
}

/** Waits until more can be written, or the client is gone. */
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

/** Writes, and waits until the system has the bytes, or the client is gone. */
const flushed = (outgoing: ServerResponse, chunk: Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    outgoing.write(chunk, () => resolve());
  });
