/** The few operations on a bucket that a store is made of. Keys are relative to the store's prefix. */
import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { ArtifactError } from '../errors.js';
import { type ServerClock, serverClock } from './clock.js';
import { failuresOf, isNamed } from './failures.js';
import type { Settled } from './options.js';

export interface StoredObject {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** By the server's clock, in milliseconds. */
  readonly modified: number;
}

export interface Part {
  /** Counted from 1. */
  readonly number: number;
  readonly etag: string;
}

interface UnfinishedUpload {
  readonly key: string;
  readonly id: string;
  /** By the server's clock, in milliseconds. */
  readonly initiated: number;
}

/** Every function throws ArtifactError ARTIFACT_STORE_UNAVAILABLE or ARTIFACT_STORE_REFUSED, or the signal's reason. */
export interface Bucket {
  /** s3://bucket/prefix */
  readonly url: string;
  readonly clock: ServerClock;
  list(prefix: string, signal: AbortSignal): AsyncGenerator<StoredObject>;
  /** The object's bytes from an offset on; undefined where there is no such object. */
  read(key: string, from: number, signal: AbortSignal): Promise<Readable | undefined>;
  write(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  remove(keys: readonly string[], signal: AbortSignal): Promise<void>;

  beginUpload(key: string, signal: AbortSignal): Promise<string>;
  uploadPart(key: string, id: string, number: number, bytes: Uint8Array, signal: AbortSignal): Promise<Part>;
  /** false where there is no such upload. */
  completeUpload(key: string, id: string, parts: readonly Part[], signal: AbortSignal): Promise<boolean>;
  abortUpload(key: string, id: string, signal: AbortSignal): Promise<void>;
  unfinishedUploads(signal: AbortSignal): AsyncGenerator<UnfinishedUpload>;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Most keys one request may delete. */
const DELETE_BATCH = 1000;

export function openBucket(options: Settled): Bucket {
  const Bucket = options.bucket;
  const prefix = options.prefix === '' ? '' : `${options.prefix}/`;
  const url = `s3://${options.bucket}/${options.prefix}`;
  const fail = failuresOf(url, options.endpoint ?? 'AWS', options.region);
  const client = createClient(options);
  const clock = serverClock();
  client.middlewareStack.add(
    (next) => async (request) => {
      const sent = Date.now();
      const result = await next(request);
      const { headers } = result.response as { headers?: Record<string, string> };
      clock.observe(sent, Date.now(), headers?.date);
      return result;
    },
    { name: 'serverClock', step: 'deserialize', priority: 'low' },
  );

  return {
    url,
    clock,

    async *list(below, abortSignal) {
      for (let ContinuationToken: string | undefined; ; ) {
        const page = await client
          .send(new ListObjectsV2Command({ Bucket, Prefix: prefix + below, ContinuationToken }), {
            abortSignal,
          })
          .catch((error) => fail(error, abortSignal));
        for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
          yield { key: Key.slice(prefix.length), size: Size, modified: LastModified?.getTime() ?? 0 };
        }
        if (!page.IsTruncated) return;
        ContinuationToken = page.NextContinuationToken;
      }
    },

    async read(key, from, abortSignal) {
      const range = from > 0 ? { Range: `bytes=${from}-` } : {};
      try {
        const { Body, ContentRange } = await client.send(
          new GetObjectCommand({ Bucket, Key: prefix + key, ...range }),
          { abortSignal },
        );
        if (from > 0 && !ContentRange?.startsWith(`bytes ${from}-`))
          throw new ArtifactError(
            'ARTIFACT_STORE_REFUSED',
            `expected ${url} to answer requests for ranges, got ${ContentRange ?? 'the whole object'}`,
          );
        return Body as Readable;
      } catch (error) {
        if (isNamed(error, 'NoSuchKey')) return undefined;
        return fail(error, abortSignal);
      }
    },

    async write(key, Body, abortSignal) {
      await client
        .send(new PutObjectCommand({ Bucket, Key: prefix + key, Body }), { abortSignal })
        .catch((error) => fail(error, abortSignal));
    },

    async remove(keys, abortSignal) {
      for (let at = 0; at < keys.length; at += DELETE_BATCH) {
        const Objects = keys.slice(at, at + DELETE_BATCH).map((key) => ({ Key: prefix + key }));
        const { Errors = [] } = await client
          .send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }), { abortSignal })
          .catch((error) => fail(error, abortSignal));
        const refused = Errors.find(({ Code }) => Code !== 'NoSuchKey');
        if (refused)
          throw new ArtifactError(
            'ARTIFACT_STORE_REFUSED',
            `expected ${refused.Key} of ${url} to be deleted, got ${refused.Code}: ${refused.Message}`,
          );
      }
    },

    async beginUpload(key, abortSignal) {
      const { UploadId } = await client
        .send(new CreateMultipartUploadCommand({ Bucket, Key: prefix + key }), { abortSignal })
        .catch((error) => fail(error, abortSignal));
      return UploadId!;
    },

    async uploadPart(key, UploadId, PartNumber, Body, abortSignal) {
      const { ETag } = await client
        .send(new UploadPartCommand({ Bucket, Key: prefix + key, UploadId, PartNumber, Body }), {
          abortSignal,
        })
        .catch((error) => fail(error, abortSignal));
      return { number: PartNumber, etag: ETag! };
    },

    async completeUpload(key, UploadId, parts, abortSignal) {
      const Parts = parts
        .toSorted((a, b) => a.number - b.number)
        .map(({ number, etag }) => ({ PartNumber: number, ETag: etag }));
      const command = new CompleteMultipartUploadCommand({
        Bucket,
        Key: prefix + key,
        UploadId,
        MultipartUpload: { Parts },
      });
      try {
        await client.send(command, { abortSignal });
        return true;
      } catch (error) {
        if (isNamed(error, 'NoSuchUpload')) return false;
        return fail(error, abortSignal);
      }
    },

    async abortUpload(key, UploadId, abortSignal) {
      try {
        await client.send(new AbortMultipartUploadCommand({ Bucket, Key: prefix + key, UploadId }), {
          abortSignal,
        });
      } catch (error) {
        if (!isNamed(error, 'NoSuchUpload')) fail(error, abortSignal);
      }
    },

    async *unfinishedUploads(abortSignal) {
      for (let markers = {}; ; ) {
        const page = await client
          .send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix, ...markers }), { abortSignal })
          .catch((error) => fail(error, abortSignal));
        for (const { Key = '', UploadId = '', Initiated } of page.Uploads ?? []) {
          yield { key: Key.slice(prefix.length), id: UploadId, initiated: Initiated?.getTime() ?? 0 };
        }
        if (!page.IsTruncated) return;
        markers = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
      }
    },
  };
}

function createClient(options: Settled): S3Client {
  const { endpoint, region, credentials, forcePathStyle, maxAttempts, idleTimeoutMs } = options;
  // The SDK is pinned to a version that runs on Node 20: its warning that later ones will not is noise at every start.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  return new S3Client({
    region,
    forcePathStyle,
    maxAttempts,
    followRegionRedirects: true,
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials !== undefined && { credentials }),
    // Requests are signed over the SHA-256 of their bodies, and what comes is verified here: more checksums only
    // shut out stores that do not know them.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: idleTimeoutMs },
  });
}
