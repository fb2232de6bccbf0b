import { randomUUID } from 'node:crypto';
import type { Environment } from '@rlhf-streams/service';
import { followRun, requestRun, startPlatform } from 'rlhf-streams';
import { ppo as workload } from '../against/workload.js';
import type { Measurement, Row } from '../measurement.js';
import { inTemporaryFolder } from '../temporary-folder.js';
import { median } from '../timing.js';
import { type Stage, type StepTimes, stages, stepTimes } from './step-times.js';
import { watch } from './watched-log.js';

const { run, warmUp: WARM_UP } = workload;
const STEPS = run.steps - WARM_UP;
const LIMIT_MS = 5 * 60_000;
const ROUNDS = 2;

export const ppo: Measurement = {
  name: 'ppo',
  about: `a PPO step end to end: ${run.batchSize} prompts, ${run.sampling.maxNewTokens} new tokens, ${run.ppo.numPpoEpochs} epochs`,
  async run({ brokers }) {
    const cluster = await brokers();
    const kinds = cluster ? ['embedded', 'kafka'] : ['embedded'];
    const measured = new Map<string, StepTimes[]>(kinds.map((kind) => [kind, []]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const kind of round % 2 === 0 ? kinds : kinds.toReversed()) {
        const environment = kind === 'kafka' ? onKafka(cluster!) : {};
        measured
          .get(kind)!
          .push(...(await inTemporaryFolder((folder) => measuredSteps(folder, environment))));
      }
    }
    const typical = (kind: string, of: (step: StepTimes) => number) => median(measured.get(kind)!.map(of));
    const row = (stage: string, of: (step: StepTimes) => number): Row => ({
      stage,
      ...Object.fromEntries(
        kinds.flatMap((kind) => [
          [`${kind} ms`, typical(kind, of)],
          [`${kind} %`, typical(kind, (step) => (100 * of(step)) / step.total)],
        ]),
      ),
    });
    const total = ({ total }: StepTimes) => total;
    return {
      rows: [
        ...(Object.keys(stages) as Stage[]).map((stage) => row(stages[stage], (step) => step.stages[stage])),
        row('a step', total),
        row('- waiting for the log', (step) => step.log),
        row('- a write to the log under way', (step) => step.writing),
      ],
      figures: {
        'rollouts/s': typical('embedded', ({ rollouts, total }) => (rollouts / total) * 1000),
        'tokens/s': typical('embedded', ({ tokens, total }) => (tokens / total) * 1000),
        'prompt tokens': typical('embedded', ({ promptTokens, rollouts }) => promptTokens / rollouts),
        'new tokens': typical('embedded', ({ tokens, rollouts }) => tokens / rollouts),
        ...(cluster && { 'kafka / embedded': typical('kafka', total) / typical('embedded', total) }),
      },
      notes: [
        `Medians of ${STEPS} steps after ${WARM_UP}, in ${ROUNDS} runs a log, one after another; a checkpoint every ${run.checkpointEvery} steps.`,
        'All services in one process on either log, so that one clock times all of them.',
        'Waiting for the log: the four events that follow upon one another in a step (completion, last prompt, last',
        'rollout, last score or log-prob), each from the call that writes it until a reader has it. A consumer that',
        'commits the batch before may add a sync to each. Other writes are under way while something computes.',
      ],
    };
  },
};

const onKafka = (brokers: string) => ({ KAFKA_BROKERS: brokers, KAFKA_PREFIX: `bench-${randomUUID()}.` });

async function measuredSteps(directory: string, environment: Environment): Promise<StepTimes[]> {
  const platform = await startPlatform({ directory, environment });
  const log = watch(platform.log);
  try {
    await requestRun(platform, run);
    await followRun(platform, run.run, {}, AbortSignal.timeout(LIMIT_MS));
    const writes = log.writes();
    return Array.from({ length: STEPS }, (_, i) => stepTimes(writes, log.arrival, WARM_UP + i));
  } finally {
    await log.close();
    await platform.close();
  }
}
