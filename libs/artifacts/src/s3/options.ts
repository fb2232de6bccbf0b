import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { ArtifactError } from '../errors.js';

const MINUTE_MS = 60 * 1000;
const MIB = 1 << 20;

export interface S3Options {
  /** An existing bucket. */
  readonly bucket: string;
  /** Put before every key, without slashes at its ends: several stores may share a bucket. */
  readonly prefix?: string;
  /** Folder of this machine for what is fetched and put. Made when missing; several processes may share it. */
  readonly cacheDirectory: string;
  /**
   * Bytes above which the cache evicts artifacts, the least recently used first. Those used within the last
   * `cacheKeepMs` stay, whatever their size. Default: no limit.
   */
  readonly cacheBytes?: number;
  /**
   * Milliseconds for which an artifact stays in the cache at least, once fetched or put; to keep a folder, fetch it again.
   * At least half of `graceMs`, because a put may take that long; default one hour.
   */
  readonly cacheKeepMs?: number;
  /** URL of an S3-compatible store. Default: that of AWS in the region. */
  readonly endpoint?: string;
  /** Default us-east-1. */
  readonly region?: string;
  /** Default: the SDK's chain (environment variables, shared files, container and instance roles). */
  readonly credentials?: S3ClientConfig['credentials'];
  /** The bucket in the path of URLs instead of the host. Default: when `endpoint` is set. */
  readonly forcePathStyle?: boolean;
  /**
   * Milliseconds for which files and unfinished uploads stay, even where `collect` is asked for less. A put relies on
   * files of at most a quarter of this age, and gives up after half of it, so every store of a bucket must have the same
   * value. It is also the default of `collect`, for which 0 says that nobody is putting. At least a minute; default one
   * hour.
   */
  readonly graceMs?: number;
  /** Attempts of a request that meets throttling, an error of the server or of the network. Default 10: about 15 s. */
  readonly maxAttempts?: number;
  /** Milliseconds without a byte after which a connection is given up, and the request repeated. Default 30 s. */
  readonly idleTimeoutMs?: number;
  /** Size of the parts in which larger files are uploaded, four at a time. At least 5 MiB; default 8 MiB. */
  readonly partBytes?: number;
}

export type Settled = Required<Omit<S3Options, 'endpoint' | 'credentials' | 'cacheBytes'>> &
  Pick<S3Options, 'endpoint' | 'credentials' | 'cacheBytes'>;

/** @throws ArtifactError ARTIFACT_BAD_OPTION. */
export function settle(options: S3Options): Settled {
  const settled = {
    prefix: '',
    region: 'us-east-1',
    forcePathStyle: options.endpoint !== undefined,
    cacheKeepMs: Math.max(60 * MINUTE_MS, (options.graceMs ?? 0) / 2),
    graceMs: 60 * MINUTE_MS,
    maxAttempts: 10,
    idleTimeoutMs: 30_000,
    partBytes: 8 * MIB,
    ...options,
  };
  if (!/^(?=.{3,63}$)[a-z0-9]+([.-][a-z0-9]+)*$/.test(settled.bucket))
    refuse('bucket', 'a name of 3 to 63 lower-case letters, digits, dots and hyphens', settled.bucket);
  if (!/^([\w.-]+(\/[\w.-]+)*)?$/.test(settled.prefix))
    refuse('prefix', 'parts of letters, digits, ".", "_" and "-", with a "/" between them', settled.prefix);
  if (!settled.cacheDirectory) refuse('cacheDirectory', 'a folder', settled.cacheDirectory);
  if (settled.endpoint !== undefined && !isHttpUrl(settled.endpoint))
    refuse('endpoint', 'an http or https URL', settled.endpoint);
  atLeast(settled, 'cacheBytes', 0);
  atLeast(settled, 'graceMs', MINUTE_MS);
  atLeast(settled, 'cacheKeepMs', settled.graceMs / 2);
  atLeast(settled, 'maxAttempts', 1);
  atLeast(settled, 'idleTimeoutMs', 1);
  atLeast(settled, 'partBytes', 5 * MIB);
  return settled;
}

const isHttpUrl = (text: string): boolean => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);

function atLeast<Name extends string>(
  options: { readonly [Key in Name]?: number | undefined },
  name: Name,
  least: number,
): void {
  const value = options[name];
  if (value !== undefined && !(value >= least)) refuse(name, `a number of ${least} or more`, value);
}

function refuse(name: string, expected: string, got: unknown): never {
  throw new ArtifactError(
    'ARTIFACT_BAD_OPTION',
    `expected option ${name} of an S3 artifact store to be ${expected}, got ${JSON.stringify(got)}`,
  );
}
