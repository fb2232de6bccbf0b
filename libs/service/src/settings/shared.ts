/** Settings that every service understands. */
import { z } from 'zod';
import { logLevels } from '../telemetry/logger.js';

export const runtimeSettings = z.object({
  HOST: z
    .string()
    .default('127.0.0.1')
    .describe('address to listen at; 0.0.0.0, as in containers, admits everybody who can reach the machine'),
  PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(8080)
    .describe('port to listen at; 0 takes a free one, which the service prints'),
  LOG_LEVEL: z
    .enum(logLevels)
    .default('info')
    .describe(`least level that is logged, of ${logLevels.join(', ')}; debug shows every request`),
  HTTP_BODY_LIMIT_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .default(1 << 20)
    .describe('largest request body, in bytes; a larger one is answered with 413 BODY_TOO_LARGE'),
  HTTP_ALLOWED_HOSTS: z
    .string()
    .optional()
    .meta({ defaultInWords: 'any name where HOST is no loopback address, else none' })
    .describe(
      'host names, separated by commas, that requests may address besides localhost; others are answered with 403 HOST_NOT_ALLOWED',
    ),
  HTTP_STALLED_CLIENT_MS: z.coerce
    .number()
    .int()
    .min(1)
    .default(60_000)
    .describe('milliseconds after which a client that does not read its answer is disconnected'),
  START_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(1)
    .default(300_000)
    .describe(
      'milliseconds that a service may take to start, reading the log included; one that takes longer ends as failed',
    ),
});

export const dataSettings = z.object({
  RLHF_DATA_DIR: z
    .string()
    .default('./runs')
    .describe(
      'folder of what a machine keeps: the embedded log, artifacts or copies of those in S3, decoded weights, work under way; without it, what is there is lost to the services',
    ),
});
