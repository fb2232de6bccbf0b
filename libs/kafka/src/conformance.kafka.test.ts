import '@rlhf-streams/kafka-broker/vitest';
import { logConformance } from '@rlhf-streams/log/conformance';
import { inject } from 'vitest';
import { kafkaLog } from './index.js';

const kafka = inject('kafka');

if (kafka) {
  const open = () => kafkaLog({ brokers: kafka.brokers, sessionTimeoutMs: 3_000 });
  logConformance('kafka', {
    create: async () => ({ log: await open(), reopen: open, cleanup: async () => {} }),
    timing: { deadlineMs: 30_000 },
  });
}
