import { join } from 'node:path';
import { type EventLog, embeddedLog } from '@rlhf-streams/log';
import { z } from 'zod';
import { type Environment, readSettings } from '../settings.js';

export const dataSettings = z.object({
  RLHF_DATA_DIR: z
    .string()
    .default('./runs')
    .describe('folder of the embedded log, of artifacts, and of copies of those that are kept elsewhere'),
});

export function openEmbeddedLog(environment: Environment): Promise<EventLog> {
  const [{ RLHF_DATA_DIR }] = readSettings(environment, dataSettings);
  return embeddedLog({ directory: join(RLHF_DATA_DIR, 'log') });
}
