/** A client that nobody here wrote does what `libs/events/FORMAT.md` says that any client can. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { decodeEvent, type TopicName } from '@rlhf-streams/events';
import { hasKcat, kcat, kcatAll } from '@rlhf-streams/kafka-broker/kcat';
import '@rlhf-streams/kafka-broker/vitest';
import { followRun } from 'rlhf-streams';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { tinyDpo, tinyModel, tinySft, writeReviews } from '../platform/tiny-runs.js';
import { complete } from './ledger.js';
import { environmentOn, withServices } from './services.js';
import { until } from './waiting.js';

const TIMEOUT_MS = 180_000;
const kafka = inject('kafka');

let folder: string;
let environment: Record<string, string>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foreign-client-'));
  environment = environmentOn(kafka!.brokers);
});
afterEach(() => rm(folder, { recursive: true }));

/** The page's own command, for a shell, on this broker and this test's topics. */
async function documentedCommand(): Promise<string> {
  const format = await readFile(new URL('../../../libs/events/FORMAT.md', import.meta.url), 'utf8');
  const [command] = /^echo '.*' \|\n {2}kcat .*$/m.exec(format)!;
  return command
    .replace('localhost:9092', kafka!.brokers.join())
    .replace('-t feedback', `-t ${environment.KAFKA_PREFIX}feedback`);
}

describe.skipIf(!kafka || !hasKcat())('kcat', () => {
  const inTopic = (name: TopicName) => `${environment.KAFKA_PREFIX}${name}`;
  const publish = (topic: TopicName, key: string, type: string, data: object) =>
    kcat(
      kafka!.brokers,
      [
        ...['-P', '-X', 'partitioner=murmur2_random', '-t', inTopic(topic), '-k', key],
        ...['-H', `ce_id=${key}`, '-H', `ce_type=${type}`],
      ],
      JSON.stringify(data),
    );
  /** Every event of a topic, as kcat shows it. */
  async function eventsOf<Name extends TopicName>(topic: Name) {
    const lines = await kcatAll(kafka!.brokers, inTopic(topic), '%h|%s');
    return lines.map((line) => {
      const bar = line.indexOf('|');
      const headers = line
        .slice(0, bar)
        .split(',')
        .map((header) => header.split('=') as [string, string]);
      return decodeEvent(topic, {
        value: Buffer.from(line.slice(bar + 1)),
        headers: Object.fromEntries(headers),
      });
    });
  }

  it(
    'publishes preferences and asks for a run, which trains on them, and reads what came of it',
    async () => {
      const { brokers } = kafka!;
      const data = await writeReviews(folder);
      const dpo = { ...tinyDpo(), data: 'feedback:support', steps: 2, batchSize: 4, testFraction: 0.25 };
      const directory = join(folder, 'kafka');
      const { completions } = await withServices({ brokers, directory, environment }, async (services) => {
        const model = { ...tinyModel, contextLength: 128 };
        await complete(services, { ...tinySft(data), model, steps: 1 });
        await promisify(execFile)('sh', ['-c', await documentedCommand()], { timeout: TIMEOUT_MS });
        const [documented] = await eventsOf('feedback');
        for (let i = 0; i < 7; i++)
          await publish('feedback', `ticket-${i}`, 'feedback.recorded', {
            ...documented!.data,
            feedback: `ticket-${i}`,
          });
        await publish('runs', dpo.run, 'run.requested', { run: dpo.run, config: dpo });
        const isKnown = async () => (await services.request(`/v1/runs/${dpo.run}`)).ok;
        await until('the gateway to know of the run', isKnown);
        await followRun(services, dpo.run, {}, AbortSignal.timeout(TIMEOUT_MS));
        return documented!.data;
      });

      const trained = (await eventsOf('comparisons')).filter(({ data }) => data.run === dpo.run);
      expect(trained.length).toBeGreaterThanOrEqual(dpo.steps * dpo.batchSize);
      for (const { data } of trained) expect(data.completions.map(({ text }) => text)).toEqual(completions);
      expect(trained.map(({ data }) => data.metadata?.feedback)).toContain('ticket-4711');
      const versions = (await eventsOf('policy-versions')).filter(({ data }) => data.run === dpo.run);
      expect(versions.at(-1)!.data).toMatchObject({ step: dpo.steps });
    },
    TIMEOUT_MS,
  );
});
