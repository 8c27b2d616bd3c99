import type { ServerResponse } from 'node:http';
import { type Prompt, type Sending, sendingOf } from '../direct.ts';
import { clientGone, type Requester } from './request.ts';

const ignore = (): void => {};

/** Sends a whole response, in one write. */
export function sendPrompt({ head, bytes }: Prompt, outgoing: ServerResponse): void {
  // `close` follows; without a listener the process would end.
  outgoing.on('error', ignore);
  outgoing.writeHead(200, head as string[]);
  outgoing.end(bytes);
}

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

/** Milliseconds without a chunk after which the head of a response is sent without one. */
const headAfter = 1_000;

/** In one write, if the body is one chunk. A chunk is read while the one before is written. */
async function sendDirectly(response: Response, sending: Sending, outgoing: ServerResponse, client: Requester) {
  const cancel = (reason: unknown) => void Promise.resolve(sending.cancel(reason)).catch(() => undefined);
  if (client.isGone) return cancel(clientGone());
  // Whoever waits for a head longer may take the server for dead.
  const late = setTimeout(() => {
    writeHead(response, outgoing);
    outgoing.flushHeaders();
  }, headAfter);
  const head = (): void => {
    clearTimeout(late);
    if (!outgoing.headersSent) writeHead(response, outgoing);
  };
  client.onGone = (reason) => {
    clearTimeout(late);
    cancel(reason);
  };
  let left = sending.size;
  let written: Promise<void> | undefined;
  while (left > 0) {
    const chunk = await Promise.resolve(sending.next()).finally(() => clearTimeout(late));
    if (written) await written;
    if (!chunk || client.isGone) return;
    head();
    left -= chunk.length;
    if (left === 0) outgoing.end(chunk);
    else written = sending.isLent ? flushed(outgoing, chunk) : outgoing.write(chunk) ? undefined : drained(outgoing);
  }
  if (sending.size === 0) {
    head();
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
