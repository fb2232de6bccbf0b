import { join } from 'node:path';
import { type ArtifactStore, filesystemArtifacts } from '@rlhf-streams/artifacts';
import { z } from 'zod';
import { type Environment, readSettings } from '../settings/settings.js';
import { dataSettings } from '../settings/shared.js';

const GIB = 2 ** 30;

export const artifactSettings = z.object({
  RLHF_ARTIFACTS_URL: z
    .string()
    .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[\w.-]+)*\/?$/, 'expected s3://bucket/prefix')
    .optional()
    .meta({ defaultInWords: 'the folder artifacts in RLHF_DATA_DIR' })
    .describe(
      's3://bucket/prefix of checkpoints and model files; services on several machines need one, or a folder that they all mount',
    ),
  RLHF_CACHE_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(20 * GIB)
    .meta({ defaultInWords: '20 GiB' })
    .describe(
      'bytes of copies of artifacts from S3 in RLHF_DATA_DIR, and bytes of weights decoded there, above which those go that were not used for an hour; they are fetched or decoded again when they are needed',
    ),
  S3_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .meta({ defaultInWords: 'that of AWS' })
    .describe('URL of an S3-compatible store, asked with the bucket in the path'),
  AWS_REGION: z
    .string()
    .default('us-east-1')
    .describe('region of the bucket; another one is refused with ARTIFACT_STORE_REFUSED'),
});

/** A folder of RLHF_DATA_DIR for what its machine can make again, and the bytes above which what nobody uses goes. */
export interface Cache {
  readonly directory: string;
  readonly bytes: number;
}

/** Where models are decoded to, once for the threads and processes of a machine. No folder is made yet. */
export function weightCache(environment: Environment): Cache {
  const [{ RLHF_CACHE_BYTES: bytes }, { RLHF_DATA_DIR }] = readSettings(
    environment,
    artifactSettings,
    dataSettings,
  );
  return { directory: join(RLHF_DATA_DIR, 'weights'), bytes };
}

/**
 * The artifacts an environment names: in a bucket, with copies in the folder `cache` of RLHF_DATA_DIR, or in its folder
 * `artifacts`. The one place that chooses an adapter. No request is made yet.
 *
 * @throws RuntimeError RUNTIME_SETTINGS; ArtifactError ARTIFACT_BAD_OPTION.
 */
export async function openArtifacts(environment: Environment): Promise<ArtifactStore> {
  const [settings, { RLHF_DATA_DIR }] = readSettings(environment, artifactSettings, dataSettings);
  const { RLHF_ARTIFACTS_URL: url, S3_ENDPOINT: endpoint } = settings;
  if (!url) return filesystemArtifacts({ directory: join(RLHF_DATA_DIR, 'artifacts') });
  const [bucket, ...prefix] = url
    .replace(/^s3:\/\//, '')
    .replace(/\/$/, '')
    .split('/');
  // Loads the AWS SDK, which only those pay for who use it.
  const { s3Artifacts } = await import('@rlhf-streams/artifacts/s3');
  return s3Artifacts({
    bucket: bucket!,
    prefix: prefix.join('/'),
    cacheDirectory: join(RLHF_DATA_DIR, 'cache'),
    cacheBytes: settings.RLHF_CACHE_BYTES,
    region: settings.AWS_REGION,
    ...(endpoint && { endpoint }),
  });
}
