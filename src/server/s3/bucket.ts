import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { abortError } from '../../abort.ts';
import { createBody, readAll } from '../../body.ts';
import { cannot, isError, messageOf, RegistryError } from '../../errors.ts';
import type { Range } from '../../oci/range.ts';
import type { Body } from '../../source.ts';
import { quote } from '../../text/quote.ts';
import type { ListedObject, ObjectCall, ObjectStorage, PartsInProgress } from './objects.ts';

/** Where a bucket is, and who uses it. */
export interface BucketAccess {
  readonly bucket: string;
  /** Default: what the environment and the user's AWS configuration name, otherwise `us-east-1`. */
  readonly region?: string | undefined;
  /** URL of a server that is not Amazon's: `https://minio.example:9000`. */
  readonly endpoint?: string | undefined;
  /** Puts the bucket into the path, not into the host name. Default: true with an `endpoint`. */
  readonly pathStyle?: boolean | undefined;
  /** Default: those that Amazon's tools use (environment, shared files, web identity, container, instance). */
  readonly credentials?:
    | {
        readonly accessKeyId: string;
        readonly secretAccessKey: string;
        readonly sessionToken?: string | undefined;
      }
    | undefined;
  /** Milliseconds for a connection, for the head of a response, and without a byte of a body. Defaults: 5,000, 30,000, 60,000. */
  readonly timeouts?: {
    readonly connect?: number | undefined;
    readonly response?: number | undefined;
    readonly idle?: number | undefined;
  };
  /** Tries of each request. Default: 3. */
  readonly tries?: number | undefined;
}

/** The objects of an S3-compatible bucket. */
export function bucketObjects(access: BucketAccess): ObjectStorage {
  const { bucket: Bucket, timeouts = {} } = access;
  const client = clientOf(access);
  const call = async <T>(attempted: string, { signal }: ObjectCall, run: () => Promise<T>): Promise<T> => {
    if (signal?.aborted) throw abortError(signal.reason);
    return run().catch((error: unknown) => {
      if (signal?.aborted) throw abortError(signal.reason);
      throw storageError(`${attempted} in bucket ${quote(Bucket)}`, error);
    });
  };
  const open = (key: string, options: ObjectCall & { readonly range?: Range | undefined }) =>
    call(`read ${quote(key)}`, options, async () => {
      const { signal, range } = options;
      const input = { Bucket, Key: key, ...(range && { Range: rangeHeader(range) }) };
      const response = await unlessMissing(client.send(new GetObjectCommand(input), signalOf(signal)));
      if (!response) return undefined;
      const stream = response.Body as Stream | undefined;
      if (!stream) throw cannot('BAD_RESPONSE', `read ${quote(key)}`, 'the response has no body');
      const body = bodyOf(stream, key, { signal, idle: timeouts.idle ?? 60_000 });
      const size = Number(response.ContentRange?.split('/')[1] ?? response.ContentLength);
      return { size, body, version: response.ETag ?? '' };
    });

  return {
    name: Bucket,
    open: (key, options = {}) => open(key, options),
    read: async (key, limit, options = {}) => {
      const found = await open(key, options);
      if (!found) return undefined;
      return { bytes: await readAll(found.body, limit, quote(key)), version: found.version };
    },
    sizeOf: (key, options = {}) =>
      call(`look for ${quote(key)}`, options, async () => {
        const found = client.send(new HeadObjectCommand({ Bucket, Key: key }), signalOf(options.signal));
        return (await unlessMissing(found))?.ContentLength;
      }),
    write: (key, bytes, options = {}) =>
      call(`write ${quote(key)}`, options, async () => {
        const { only, signal } = options;
        const condition = only && (only.version === undefined ? { IfNoneMatch: '*' } : { IfMatch: only.version });
        const input = { Bucket, Key: key, Body: bytes, ContentLength: bytes.length, ...condition };
        const written = client.send(new PutObjectCommand(input), signalOf(signal));
        return (await unlessChanged(written))?.ETag;
      }),
    writeInParts: (key, options = {}) =>
      call(`write ${quote(key)}`, options, async () => {
        const begin = client.send(new CreateMultipartUploadCommand({ Bucket, Key: key }), signalOf(options.signal));
        const { UploadId } = await begin;
        return partsOf({ client, target: { Bucket, Key: key, UploadId }, options, call });
      }),
    copy: (from, to, options = {}) =>
      call(`copy ${quote(from)}`, options, async () => {
        const input = { Bucket, Key: to, CopySource: sourceOf(Bucket, from) };
        await client.send(new CopyObjectCommand(input), signalOf(options.signal));
      }),
    remove: (key, options = {}) =>
      call(`remove ${quote(key)}`, options, async () => {
        await unlessMissing(client.send(new DeleteObjectCommand({ Bucket, Key: key }), signalOf(options.signal)));
      }),
    async *list(prefix, options = {}) {
      let token: string | undefined;
      do {
        const input = { Bucket, Prefix: prefix, Delimiter: options.delimiter, ContinuationToken: token };
        const page = await call(`list ${quote(prefix)}`, options, () =>
          client.send(new ListObjectsV2Command(input), signalOf(options.signal)),
        );
        const objects = (page.Contents ?? []).map(({ Key = '', LastModified }) => listed(Key, LastModified?.getTime()));
        const beginnings = (page.CommonPrefixes ?? []).map(({ Prefix = '' }) => listed(Prefix, undefined));
        yield* [...objects, ...beginnings].sort((a, b) => (a.key < b.key ? -1 : 1));
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    },
    urlOf: (key, expiresIn) =>
      call(`sign the URL of ${quote(key)}`, {}, () =>
        getSignedUrl(client, new GetObjectCommand({ Bucket, Key: key }), { expiresIn }),
      ),
    check: (options = {}) =>
      call('look', options, async () => {
        await client.send(new HeadBucketCommand({ Bucket }), signalOf(options.signal));
      }),
    close: () => client.destroy(),
  };
}

function clientOf({ region, endpoint, pathStyle, credentials, timeouts = {}, tries = 3 }: BucketAccess): S3Client {
  const { connect = 5_000, response = 30_000 } = timeouts;
  return new S3Client({
    // The client fails without one, also for servers that have none.
    ...((region !== undefined || endpoint !== undefined) && { region: region ?? 'us-east-1' }),
    ...(endpoint !== undefined && { endpoint }),
    forcePathStyle: pathStyle ?? endpoint !== undefined,
    ...(credentials && {
      credentials: {
        accessKeyId: credentials.accessKeyId,
        secretAccessKey: credentials.secretAccessKey,
        ...(credentials.sessionToken !== undefined && { sessionToken: credentials.sessionToken }),
      },
    }),
    maxAttempts: tries,
    requestHandler: { connectionTimeout: connect, requestTimeout: response, throwOnRequestTimeout: true },
    // Many servers other than Amazon's do not know its newer checksums; digests are verified here.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

/** What an object written in parts is written with. */
interface PartsContext {
  readonly client: S3Client;
  readonly target: { readonly Bucket: string; readonly Key: string; readonly UploadId: string | undefined };
  readonly options: ObjectCall;
  call<T>(attempted: string, options: ObjectCall, run: () => Promise<T>): Promise<T>;
}

function partsOf({ client, target, options, call }: PartsContext): PartsInProgress {
  const parts: CompletedPart[] = [];
  const attempted = `write ${quote(target.Key)}`;
  return {
    add: (number, bytes) =>
      call(attempted, options, async () => {
        const input = { ...target, PartNumber: number, Body: bytes, ContentLength: bytes.length };
        const { ETag } = await client.send(new UploadPartCommand(input), signalOf(options.signal));
        parts.push({ ETag, PartNumber: number });
      }),
    copy: (number, key) =>
      call(attempted, options, async () => {
        const input = { ...target, PartNumber: number, CopySource: sourceOf(target.Bucket, key) };
        const { CopyPartResult } = await client.send(new UploadPartCopyCommand(input), signalOf(options.signal));
        parts.push({ ETag: CopyPartResult?.ETag, PartNumber: number });
      }),
    complete: () =>
      call(attempted, options, async () => {
        parts.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
        const input = { ...target, MultipartUpload: { Parts: parts } };
        await client.send(new CompleteMultipartUploadCommand(input), signalOf(options.signal));
      }),
    abort: async () => {
      // The signal may be the reason for this call. What stays is removed by the bucket's own rule for incomplete uploads.
      await client.send(new AbortMultipartUploadCommand(target)).catch(() => {});
    },
  };
}

/** What the client gives as the body of an object: a stream of Node. */
type Stream = AsyncIterable<Uint8Array> & { destroy(): void };

function bodyOf(
  stream: Stream,
  key: string,
  limits: { readonly signal: AbortSignal | undefined; readonly idle: number },
): Body {
  const chunks = stream[Symbol.asyncIterator]();
  const next = async (): Promise<Uint8Array | undefined> => {
    const read = await chunks.next().catch((error: unknown) => {
      throw storageError(`read ${quote(key)}`, error);
    });
    return read.done === true ? undefined : read.value;
  };
  return createBody({ next, cancel: () => stream.destroy() }, limits).body;
}

const listed = (key: string, modified: number | undefined): ListedObject => ({ key, modified });
const signalOf = (signal: AbortSignal | undefined) => (signal ? { abortSignal: signal } : {});
const rangeHeader = ({ start, end }: Range): string => `bytes=${start}-${end === undefined ? '' : end - 1}`;
const sourceOf = (bucket: string, key: string): string =>
  [bucket, ...key.split('/')].map((part) => encodeURIComponent(part)).join('/');

/** What the client reports of a response. */
const statusOf = (error: unknown): number | undefined => {
  const metadata = isError(error) && '$metadata' in error ? error.$metadata : undefined;
  const status = (metadata as { httpStatusCode?: unknown } | undefined)?.httpStatusCode;
  return typeof status === 'number' ? status : undefined;
};

/** Undefined for an object that is not there. A missing bucket is a failure. */
function unlessMissing<T>(response: Promise<T>): Promise<T | undefined> {
  return response.catch((error: unknown) => {
    if (statusOf(error) === 404 && isError(error) && error.name !== 'NoSuchBucket') return undefined;
    throw error;
  });
}

/** Undefined if the condition of a request did not hold, or another request wrote at the same time. */
function unlessChanged<T>(response: Promise<T>): Promise<T | undefined> {
  return response.catch((error: unknown) => {
    const status = statusOf(error);
    // A condition on a version of what is gone is 404.
    if (status === 412 || status === 409 || (status === 404 && isError(error) && error.name === 'NoSuchKey'))
      return undefined;
    throw error;
  });
}

/** Names of the errors that mean "later", whatever their status. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
const passing: ReadonlySet<string> = new Set(['SlowDown', 'ServiceUnavailable', 'InternalError', 'RequestTimeout']);

function storageError(attempted: string, error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const status = statusOf(error);
  const name = isError(error) ? error.name : '';
  const found = `${name === '' ? 'it failed' : name}: ${messageOf(error)}`;
  if (name === 'TimeoutError') return cannot('TIMEOUT', attempted, found, { cause: error });
  const isPassing = status === undefined || status >= 500 || status === 429 || passing.has(name);
  return cannot(isPassing ? 'UNAVAILABLE' : 'STORE_ERROR', attempted, found, { status, cause: error });
}
