import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A bucket in memory that speaks enough of S3 for the client, and how to disturb it. */
export interface S3Server {
  readonly url: string;
  /** Objects by key. */
  readonly objects: Map<string, { readonly bytes: Buffer; readonly etag: string; readonly modified: Date }>;
  /** Method and path of each request, with the query. */
  readonly requests: string[];
  /** Status for every request, as of a bucket that is out of order; undefined: it works. */
  fails: { readonly status: number; readonly code: string } | undefined;
  close(): Promise<void>;
}

const bucket = 'registry';
const region = 'us-east-1';

/** What `s3Registry` needs to use it. */
export const accessOf = ({ url }: Pick<S3Server, 'url'>) => ({
  bucket,
  region,
  endpoint: url,
  credentials: { accessKeyId: 'user', secretAccessKey: 'secret' },
});

/** A failure as S3 reports it. */
class S3Failure extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

export async function startS3Server(): Promise<S3Server> {
  const objects: S3Server['objects'] = new Map();
  const uploads = new Map<string, Map<number, Buffer>>();
  const state: Pick<S3Server, 'requests' | 'fails'> = { requests: [], fails: undefined };
  const put = (key: string, bytes: Buffer): string => {
    const etag = `"${createHash('md5').update(bytes).digest('hex')}"`;
    objects.set(key, { bytes, etag, modified: new Date() });
    return etag;
  };
  const get = (key: string) => {
    const found = objects.get(key);
    if (!found) throw new S3Failure(404, 'NoSuchKey');
    return found;
  };
  const source = (request: IncomingMessage): Buffer | undefined => {
    const { 'x-amz-copy-source': from } = request.headers;
    return typeof from === 'string' ? get(decodeURIComponent(from.replace(`${bucket}/`, ''))).bytes : undefined;
  };
  const list = (query: URLSearchParams): string => {
    const [prefix = '', delimiter] = [query.get('prefix') ?? '', query.get('delimiter')];
    const after = query.get('continuation-token') ?? '';
    const entries = new Map<string, Date | undefined>();
    for (const key of [...objects.keys()].sort()) {
      if (!key.startsWith(prefix)) continue;
      const end = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
      if (end < 0) entries.set(key, objects.get(key)?.modified);
      else entries.set(key.slice(0, end + 1), undefined);
    }
    const left = [...entries].filter(([key]) => key > after);
    const page = left.slice(0, 50);
    const rows = page.map(([key, modified]) =>
      modified
        ? `<Contents><Key>${key}</Key><LastModified>${modified.toISOString()}</LastModified></Contents>`
        : `<CommonPrefixes><Prefix>${key}</Prefix></CommonPrefixes>`,
    );
    const isCut = left.length > page.length;
    const next = isCut ? `<NextContinuationToken>${page.at(-1)?.[0]}</NextContinuationToken>` : '';
    return `<ListBucketResult>${rows.join('')}<IsTruncated>${isCut}</IsTruncated>${next}</ListBucketResult>`;
  };
  const parts = (query: URLSearchParams): Map<number, Buffer> => {
    const found = uploads.get(query.get('uploadId') ?? '');
    if (!found) throw new S3Failure(404, 'NoSuchUpload');
    return found;
  };
  const complete = (key: string, query: URLSearchParams): string => {
    const sorted = [...parts(query)].sort(([a], [b]) => a - b).map(([, bytes]) => bytes);
    if (sorted.slice(0, -1).some(({ length }) => length < 5 * 1024 * 1024)) throw new S3Failure(400, 'EntityTooSmall');
    uploads.delete(query.get('uploadId') ?? '');
    return `<CompleteMultipartUploadResult><ETag>${put(key, Buffer.concat(sorted))}</ETag></CompleteMultipartUploadResult>`;
  };
  const checkCondition = (request: IncomingMessage, key: string): void => {
    const { 'if-match': match, 'if-none-match': noneMatch } = request.headers;
    if (match !== undefined && get(key).etag !== match) throw new S3Failure(412, 'PreconditionFailed');
    if (noneMatch === '*' && objects.has(key)) throw new S3Failure(412, 'PreconditionFailed');
  };
  const write = (request: IncomingMessage, key: string, query: URLSearchParams, body: Buffer) => {
    const copied = source(request);
    const number = query.get('partNumber');
    if (number !== null) parts(query).set(Number(number), copied ?? body);
    else checkCondition(request, key);
    const etag = number === null ? put(key, copied ?? body) : `"${randomUUID()}"`;
    const name = number === null ? 'CopyObjectResult' : 'CopyPartResult';
    return { status: 200, headers: { etag }, body: copied ? `<${name}><ETag>${etag}</ETag></${name}>` : '' };
  };
  const read = (request: IncomingMessage, key: string) => {
    const { bytes, etag, modified } = get(key);
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const [start, end] = range ? [Number(range[1]), range[2] ? Number(range[2]) + 1 : bytes.length] : [0, bytes.length];
    if (start >= bytes.length && range) throw new S3Failure(416, 'InvalidRange');
    const part = bytes.subarray(start, end);
    const headers = { etag, 'last-modified': modified.toUTCString(), 'content-length': String(part.length) };
    const contentRange = `bytes ${start}-${start + part.length - 1}/${bytes.length}`;
    return {
      status: range ? 206 : 200,
      headers: { ...headers, ...(range && { 'content-range': contentRange }) },
      body: request.method === 'HEAD' ? '' : part,
    };
  };
  const respond = (request: IncomingMessage, { pathname, searchParams }: URL, body: Buffer) => {
    const [, name, ...rest] = pathname.split('/').map(decodeURIComponent);
    const key = rest.join('/');
    if (name !== bucket) throw new S3Failure(404, 'NoSuchBucket');
    const isSigned = 'authorization' in request.headers || searchParams.has('X-Amz-Signature');
    if (!isSigned) throw new S3Failure(403, 'AccessDenied');
    if (state.fails) throw new S3Failure(state.fails.status, state.fails.code);
    if (key === '') return { status: 200, headers: {}, body: request.method === 'HEAD' ? '' : list(searchParams) };
    if (request.method === 'PUT') return write(request, key, searchParams, body);
    if (request.method === 'DELETE') {
      if (searchParams.has('uploadId')) uploads.delete(searchParams.get('uploadId') ?? '');
      else objects.delete(key);
      return { status: 204, headers: {}, body: '' };
    }
    if (request.method !== 'POST') return read(request, key);
    if (searchParams.has('uploadId')) return { status: 200, headers: {}, body: complete(key, searchParams) };
    const id = randomUUID();
    uploads.set(id, new Map());
    const result = `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`;
    return { status: 200, headers: {}, body: result };
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url ?? '/', 'http://localhost');
    state.requests.push(`${request.method} ${url.pathname}${url.search}`);
    try {
      const { status, headers, body } = respond(request, url, Buffer.concat(chunks));
      response.writeHead(status, headers).end(body);
    } catch (error) {
      const { status, code } = error instanceof S3Failure ? error : { status: 500, code: String(error) };
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.end(request.method === 'HEAD' ? '' : `<Error><Code>${code}</Code><Message>${code}</Message></Error>`);
    }
  };
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return Object.assign(state, {
    url: `http://127.0.0.1:${port}`,
    objects,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}
