import '@rlhf-streams/kafka-broker/vitest';
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, inject, it } from 'vitest';
import { readAll } from '../conformance/harness.js';
import { DEADLINE_MS, newTopic, openLog, TEST_TIMEOUT_MS, texts } from './broker.test.support.js';

const kafka = inject('kafka');

function hasKcat(): boolean {
  try {
    execFileSync('kcat', ['-V'], { stdio: 'ignore', timeout: DEADLINE_MS });
    return true;
  } catch {
    return false;
  }
}

const isPossible = kafka !== undefined && hasKcat();
if (kafka && !isPossible)
  process.stderr.write('Tests with kcat are skipped. To run them install the package kcat\n');

/** Of librdkafka, the client of most languages. */
describe.skipIf(!isPossible)('kcat', { timeout: TEST_TIMEOUT_MS }, () => {
  const brokers = kafka?.brokers ?? [];
  const lines = Array.from({ length: 200 }, (_, i) => `record ${i} ${'is compressed '.repeat(5)}`);

  async function kcat(arguments_: readonly string[], input = ''): Promise<string> {
    const running = promisify(execFile)('kcat', ['-b', brokers.join(), ...arguments_], {
      timeout: DEADLINE_MS,
    });
    running.child.stdin!.end(input);
    return (await running).stdout;
  }

  it.each(['none', 'gzip', 'lz4', 'zstd', 'snappy'])('writes with %s what we read', async (codec) => {
    const log = await openLog({ brokers });
    const topic = await newTopic(log);
    const compressed = ['-X', `compression.codec=${codec}`, '-X', 'linger.ms=100', '-H', 'name=value'];
    await kcat(
      ['-P', '-t', topic, '-p', '0', '-K', ':', ...compressed],
      lines.map((line) => `key:${line}\n`).join(''),
    );
    const records = await readAll(log, [topic]);
    expect(texts(records)).toEqual(lines);
    expect(records[7]).toMatchObject({ key: 'key', offset: 7, headers: { name: 'value' } });
  });

  it.each(['none', 'gzip'] as const)(
    'reads what we write with %s, and not what we abort',
    async (compression) => {
      const log = await openLog({ brokers, compression });
      const topic = await newTopic(log);
      await log.publish(
        lines.map((value, i) => ({ topic, key: `key ${i}`, value, headers: { name: 'value' } })),
      );
      const producer = await log.transactional(`of ${topic}`);
      await producer.transact({ records: [{ topic, key: 'last', value: 'transacted' }] });
      const output = await kcat([
        '-C',
        '-t',
        topic,
        '-e',
        '-q',
        '-f',
        '%k|%s|%h\n',
        '-X',
        'isolation.level=read_committed',
      ]);
      expect(output.trimEnd().split('\n')).toEqual([
        ...lines.map((line, i) => `key ${i}|${line}|name=value`),
        'last|transacted|',
      ]);
    },
  );
});
