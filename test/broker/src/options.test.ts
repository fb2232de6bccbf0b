import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type KafkaOptions, startKafka } from './index.js';

describe('startKafka refuses', () => {
  it.each([
    ['nodes', { nodes: 2 }],
    ['source', { source: 'podman' }],
    ['source', { source: 'docker', secure: true }],
    ['source', { source: 'docker', directory: 'data' }],
    ['users', { users: ['policy'] }],
    ['users', { secure: true, users: ['policy="" user_admin'] }],
    ['port', { port: 65_534, nodes: 3 }],
    ['settings', { settings: { listeners: 'PLAINTEXT://:9092' } }],
    ['settings', { settings: { 'node.id': '4' } }],
    ['settings', { settings: { 'num.partitions': '1\nnode.id=4' } }],
  ])('%s: %o', async (option, options) => {
    await expect(startKafka(options as KafkaOptions)).rejects.toMatchObject({
      code: 'KAFKA_BROKER_INVALID',
      message: expect.stringContaining(`expected ${option} to be`),
    });
  });

  it('a port that is taken', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, () => resolve((server.address() as { port: number }).port));
    });
    try {
      await expect(startKafka({ port, source: 'java' })).rejects.toMatchObject({
        code: 'KAFKA_BROKER_INVALID',
        message: expect.stringContaining(`port ${port}`),
      });
    } finally {
      server.close();
    }
  });
});
