/** A client of a gateway over a log in memory, where no other service runs. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents, type Events, topicSpecs } from '@rlhf-streams/bus';
import { memoryLog } from '@rlhf-streams/log';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { createLogger } from '@rlhf-streams/service';
import type { Client } from '../place/client.js';
import { inProcessGateway } from '../place/in-process-gateway.js';

export interface TestClient {
  readonly client: Pick<Client, 'request' | 'failed' | 'troubles'>;
  /** Publishes as services would. */
  readonly events: Events;
  close(): Promise<void>;
}

export async function openTestGateway(): Promise<TestClient> {
  const folder = await mkdtemp(join(tmpdir(), 'cli-gateway-'));
  const log = memoryLog();
  await log.ensureTopics(topicSpecs);
  const events = createEvents({ log, source: 'test' });
  const gateway = inProcessGateway({
    log,
    artifacts: filesystemArtifacts({ directory: folder }),
    environment: { RLHF_DATA_DIR: folder },
    logger: createLogger({ level: 'silent' }),
  });
  return {
    client: { ...gateway, troubles: async () => [] },
    events,
    close: async () => {
      await gateway.close();
      await events.close();
      await log.close();
      await rm(folder, { recursive: true });
    },
  };
}

export const config = (change: object = {}): RunConfigInput => ({
  run: 'r',
  method: 'sft',
  steps: 2,
  model: { layers: 1 },
  data: 'mine/rows.jsonl',
  ...change,
});
