import type { Dispatcher } from 'undici';
import { remember } from '../../bounded-map.ts';
import type { Lease, Served } from '../connections.ts';
import { joinLines } from './header-lines.ts';

type ServedResponse = Dispatcher.ResponseData<Served>;

/** A request as undici takes it. */
export type DispatchedRequest = Dispatcher.RequestOptions<Served> & {
  readonly origin: string;
  readonly signal: AbortSignal;
  readonly opaque: Served;
};

/** A response whose header lines do not contradict each other. */
export interface Received {
  readonly response: ServedResponse;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The response to a request; sent again if a reused connection was closed, and if undici does not take the response as it
 * is. `BAD_RESPONSE` for header lines that contradict each other.
 */
export async function respond(pool: Lease['pool'], sent: DispatchedRequest, url: string): Promise<Received> {
  const response = await request(pool, sent);
  try {
    return { response, headers: joinLines(Object.entries(response.headers), url) };
  } catch (error) {
    response.body.on('error', () => {}).destroy();
    throw error;
  }
}

async function request(pool: Lease['pool'], sent: DispatchedRequest): Promise<ServedResponse> {
  const { agent, fresh, repairing, repaired } = pool;
  if (repairing && repaired?.has(sent.origin) && isRepeatable(sent)) return repairing().request(sent);
  try {
    return await agent.request(sent).catch((error: unknown) => {
      if (sent.signal.aborted || !fresh || !isStale(sent.opaque, error)) throw error;
      return fresh().request(sent);
    });
  } catch (error) {
    if (!isRefusedHead(error)) throw error;
    return repeat(pool, sent, error);
  }
}

/**
 * The same for a response whose body broke before its first byte, if the reason is that undici does not take its chunks as
 * they are. Fails with the given error otherwise, and if the second response is another one.
 */
export async function respondRepaired(
  pool: Lease['pool'],
  sent: DispatchedRequest,
  { first, error }: { readonly first: ServedResponse; readonly error: unknown },
): Promise<ServedResponse> {
  if (!isMalformed(error)) throw error;
  const response = await repeat(pool, sent, error);
  const isSame = ['content-type', 'content-encoding', 'content-range', 'etag'].every(
    (name) => String(response.headers[name]) === String(first.headers[name]),
  );
  if (isSame && response.statusCode === first.statusCode) return response;
  response.body.on('error', () => {}).destroy();
  throw error;
}

/** Remembers an origin whose body broke because undici does not take its chunks: what is requested next is repaired. */
export function rememberBroken({ repaired }: Lease['pool'], { origin }: DispatchedRequest, error: unknown): void {
  if (repaired && error !== undefined && isMalformed(error)) remember(repaired, origin, true);
}

/**
 * Sends the request once more, on a connection of its own whose bytes are repaired; from then on, all of that origin are sent
 * so. Fails with the given error if that does not help.
 */
async function repeat(
  { repairing, repaired }: Lease['pool'],
  sent: DispatchedRequest,
  error: unknown,
): Promise<ServedResponse> {
  if (sent.signal.aborted || !repairing || !repaired || !isRepeatable(sent)) throw error;
  const response = await repairing()
    .request(sent)
    .catch(() => {
      throw error;
    });
  remember(repaired, sent.origin, true);
  return response;
}

const isRepeatable = ({ method }: DispatchedRequest): boolean => method === 'GET' || method === 'HEAD';

interface ClientError {
  readonly name?: string;
  readonly code?: string;
  /** The bytes that were refused; none if there were no more. */
  readonly data?: string;
  readonly socket?: { readonly bytesRead?: number };
}

/** Whether undici's parser refused bytes. */
const isMalformed = (error: unknown): boolean => {
  const { name, data } = error as ClientError;
  return name === 'HTTPParserError' && Boolean(data);
};

/** The same of a head. Equal lengths are taken for one number, and an unsolicited 100 ends the connection as if it were closed. */
function isRefusedHead(error: unknown): boolean {
  const { code, socket } = error as ClientError;
  const isCut = code === 'UND_ERR_SOCKET' && (socket?.bytesRead ?? 0) > 0;
  return isMalformed(error) || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH' || isCut;
}

const closedCodes = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/** Whether a connection was closed that had brought responses before, so that the server may just have ended it. RFC 9112 section 9.3.1 */
const isStale = ({ connection }: Served, error: unknown): boolean =>
  connection !== undefined && connection.responses > 0 && closedCodes.has((error as ClientError).code ?? '');
