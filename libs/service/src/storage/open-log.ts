import { isAbsolute, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf, RuntimeError } from '@rlhf-streams/bus';
import { type EventLog, embeddedLog } from '@rlhf-streams/log';
import { z } from 'zod';
import { type Environment, readSettings } from '../settings/settings.js';
import { dataSettings } from '../settings/shared.js';
import { openKafkaLog } from './kafka.js';

export const logSettings = z.object({
  RLHF_LOG: z
    .string()
    .optional()
    .meta({ defaultInWords: 'kafka where KAFKA_BROKERS is set, else embedded' })
    .describe(
      'where events are kept: embedded, a folder in RLHF_DATA_DIR that one process at a time has open; kafka; or a module that exports openLog(environment)',
    ),
});

/** An adapter of the log that is not built in: the module RLHF_LOG names exports this. */
export interface LogAdapterModule {
  openLog(environment: Environment): Promise<EventLog>;
}

/**
 * The log an environment names. The one place that chooses an adapter.
 *
 * @throws RuntimeError RUNTIME_SETTINGS; what the adapter throws.
 */
export async function openLog(environment: Environment): Promise<EventLog> {
  const [{ RLHF_LOG }] = readSettings(environment, logSettings);
  const name = RLHF_LOG ?? (environment.KAFKA_BROKERS ? 'kafka' : 'embedded');
  if (name === 'embedded') return openEmbeddedLog(environment);
  if (name === 'kafka') return openKafkaLog(environment);
  return (await adapterModule(name)).openLog(environment);
}

function openEmbeddedLog(environment: Environment): Promise<EventLog> {
  const [{ RLHF_DATA_DIR }] = readSettings(environment, dataSettings);
  return embeddedLog({ directory: join(RLHF_DATA_DIR, 'log') });
}

async function adapterModule(name: string): Promise<LogAdapterModule> {
  const adapter = await import(isAbsolute(name) ? pathToFileURL(name).href : name).catch((cause) => {
    throw new RuntimeError(
      'RUNTIME_SETTINGS',
      `expected RLHF_LOG to be embedded, kafka or a module that can be imported, got ${name}: ${messageOf(cause)}`,
      { cause },
    );
  });
  if (typeof adapter.openLog === 'function') return adapter;
  throw new RuntimeError('RUNTIME_SETTINGS', `expected module ${name} to export openLog(environment)`);
}
