/** An S3 server in this process: as much of the protocol as the adapter uses, a clock of its own, and faults. */
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeRequest {
  /** The access key. */
  readonly who: string;
  readonly operation: Operation;
  /** Empty for operations on the bucket. */
  readonly key: string;
}

type Operation =
  | 'list'
  | 'get'
  | 'put'
  | 'delete'
  | 'begin upload'
  | 'upload part'
  | 'complete upload'
  | 'abort upload'
  | 'list uploads';

export type Fault =
  /** Answers with this error, and does nothing. */
  | { readonly status: number; readonly code: string }
  /** Closes the connection: before it does anything, or after, without an answer. */
  | 'break'
  | 'break after'
  /** Never answers. */
  | 'hang'
  /** Sends this many bytes of a body, then closes the connection, or sends no more. */
  | { readonly breakAfterBytes: number }
  | { readonly hangAfterBytes: number };

export interface FakeS3 {
  readonly endpoint: string;
  readonly bucket: string;
  /** The credentials of `who`: requests are signed with them, and others are refused. */
  credentials(who?: string): { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly objects: Map<string, { bytes: Buffer; modified: number }>;
  readonly uploads: Map<string, { key: string; initiated: number; parts: Map<number, Buffer> }>;
  /** Every request that came, in order. */
  readonly requests: FakeRequest[];
  /** Asked before each request is carried out. */
  faults: (request: FakeRequest) => Fault | undefined | Promise<Fault | undefined>;
  /** Makes everything that is stored older by `ms` milliseconds. */
  age(ms: number): void;
  /** Milliseconds by which the server's clock is ahead of this machine's. */
  clockAhead: number;
  close(): Promise<void>;
}

const BUCKET = 'artifacts';
/** Keys on a page of a listing: few, so that listings have several pages. */
const PAGE = 5;

class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

export async function startFakeS3(): Promise<FakeS3> {
  const now = () => Date.now() + fake.clockAhead;
  const known = new Set<string>();

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await bytesOf(request);
    const url = new URL(request.url!, 'http://fake');
    const [, bucket = '', ...rest] = decodeURIComponent(url.pathname).split('/');
    const asked: FakeRequest = {
      who: /Credential=([^/]*)/.exec(request.headers.authorization ?? '')?.[1] ?? '',
      operation: operationOf(request.method!, url.searchParams, rest),
      key: rest.join('/'),
    };
    fake.requests.push(asked);
    const fault = await fake.faults(asked);
    if (fault === 'hang') return;
    if (fault === 'break') return void response.destroy();
    response.setHeader('date', new Date(now()).toUTCString());
    try {
      if (!known.has(asked.who)) throw new Refusal(403, 'InvalidAccessKeyId');
      if (bucket !== BUCKET) throw new Refusal(404, 'NoSuchBucket');
      if (typeof fault === 'object' && 'code' in fault) throw new Refusal(fault.status, fault.code);
      const answer = operations[asked.operation](asked.key, url.searchParams, body, response, request);
      if (fault === 'break after') return void response.destroy();
      send(response, answer, typeof fault === 'object' ? fault : {});
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      response.statusCode = error.status;
      response.setHeader('content-type', 'application/xml');
      response.end(`<Error><Code>${error.code}</Code><Message>as told</Message></Error>`);
    }
  };

  const uploadOf = (query: URLSearchParams) => {
    const upload = fake.uploads.get(query.get('uploadId')!);
    if (!upload) throw new Refusal(404, 'NoSuchUpload');
    return upload;
  };

  const operations: Record<
    Operation,
    (
      key: string,
      query: URLSearchParams,
      body: Buffer,
      response: ServerResponse,
      request: IncomingMessage,
    ) => Buffer | string
  > = {
    list: (_, query) => {
      const prefix = query.get('prefix') ?? '';
      const after = query.get('continuation-token') ?? '';
      const keys = [...fake.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
      const page = keys.slice(0, PAGE).map((key) => {
        const { bytes, modified } = fake.objects.get(key)!;
        return `<Contents><Key>${key}</Key><Size>${bytes.length}</Size><LastModified>${iso(modified)}</LastModified></Contents>`;
      });
      const more = keys.length > PAGE;
      return `<ListBucketResult><IsTruncated>${more}</IsTruncated>${
        more ? `<NextContinuationToken>${keys[PAGE - 1]}</NextContinuationToken>` : ''
      }${page.join('')}</ListBucketResult>`;
    },
    get: (key, _, __, response, request) => {
      const object = fake.objects.get(key);
      if (!object) throw new Refusal(404, 'NoSuchKey');
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      if (from > 0) {
        response.statusCode = 206;
        const { length } = object.bytes;
        response.setHeader('content-range', `bytes ${from}-${length - 1}/${length}`);
      }
      return object.bytes.subarray(from);
    },
    put: (key, _, body) => {
      fake.objects.set(key, { bytes: body, modified: now() });
      return '';
    },
    delete: (_, __, body) => {
      for (const [, key] of body.toString().matchAll(/<Key>(.*?)<\/Key>/g)) fake.objects.delete(key!);
      return '<DeleteResult></DeleteResult>';
    },
    'begin upload': (key) => {
      const id = randomUUID();
      fake.uploads.set(id, { key, initiated: now(), parts: new Map() });
      return `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`;
    },
    'upload part': (_, query, body, response) => {
      uploadOf(query).parts.set(Number(query.get('partNumber')), body);
      response.setHeader('etag', `"${createHash('md5').update(body).digest('hex')}"`);
      return '';
    },
    'complete upload': (key, query, body) => {
      const { parts, initiated } = uploadOf(query);
      const numbers = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map((m) =>
        Number(m[1]),
      );
      if (numbers.some((number, index) => number !== index + 1 || !parts.has(number)))
        throw new Refusal(400, 'InvalidPartOrder');
      const bytes = Buffer.concat(numbers.map((number) => parts.get(number)!));
      fake.objects.set(key, { bytes, modified: initiated });
      fake.uploads.delete(query.get('uploadId')!);
      return '<CompleteMultipartUploadResult></CompleteMultipartUploadResult>';
    },
    'abort upload': (_, query) => {
      uploadOf(query);
      fake.uploads.delete(query.get('uploadId')!);
      return '';
    },
    'list uploads': () => {
      const uploads = [...fake.uploads].map(
        ([id, { key, initiated }]) =>
          `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${iso(initiated)}</Initiated></Upload>`,
      );
      return `<ListMultipartUploadsResult>${uploads.join('')}</ListMultipartUploadsResult>`;
    },
  };

  const server = createServer((request, response) => {
    handle(request, response).catch((error) => response.destroy(error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const fake: FakeS3 = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bucket: BUCKET,
    credentials: (who = 'somebody') => {
      known.add(who);
      return { accessKeyId: who, secretAccessKey: 'secret' };
    },
    objects: new Map(),
    uploads: new Map(),
    requests: [],
    faults: () => undefined,
    age: (ms) => {
      for (const object of fake.objects.values()) object.modified -= ms;
      for (const upload of fake.uploads.values()) upload.initiated -= ms;
    },
    clockAhead: 0,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return fake;
}

function operationOf(method: string, query: URLSearchParams, key: readonly string[]): Operation {
  const onObject = key.some((part) => part !== '');
  if (method === 'GET') return onObject ? 'get' : query.has('uploads') ? 'list uploads' : 'list';
  if (method === 'PUT') return query.has('partNumber') ? 'upload part' : 'put';
  if (method === 'DELETE') return 'abort upload';
  if (query.has('delete')) return 'delete';
  return query.has('uploads') ? 'begin upload' : 'complete upload';
}

function send(
  response: ServerResponse,
  answer: Buffer | string,
  fault: { breakAfterBytes?: number; hangAfterBytes?: number },
): void {
  const bytes = Buffer.from(answer);
  response.setHeader('content-length', bytes.length);
  const { breakAfterBytes, hangAfterBytes } = fault;
  if (breakAfterBytes === undefined && hangAfterBytes === undefined) return void response.end(bytes);
  response.write(bytes.subarray(0, breakAfterBytes ?? hangAfterBytes), () => {
    if (breakAfterBytes !== undefined) response.destroy();
  });
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Whole seconds, as S3 tells them. */
const iso = (time: number): string => new Date(Math.floor(time / 1000) * 1000).toISOString();
