/** What the evaluation logged beside its tables: implicit rewards of held-out comparisons, and answers to read. */
import { runEvents } from '@rlhf-streams/archive';
import { type Estimate, meanEstimate, winRateOf } from '@rlhf-streams/evaluation';
import { readRuns } from '@rlhf-streams/runs';
import { type Client, openClient } from 'rlhf-streams';
import { BETA, EVALUATION } from './experiment.js';
import { environmentOf, type Place } from './services.js';

export interface Results {
  /** Share of held-out comparisons whose chosen answer has the greater implicit reward, and the mean margin. */
  readonly accuracy: Estimate;
  readonly margin: Estimate;
  /** By prompt, the answer of each policy. */
  readonly samples: readonly {
    readonly prompt: string;
    readonly answers: Readonly<Record<string, string>>;
  }[];
}

const POLICIES = ['base', 'dpo', 'ppo'] as const;
const SAMPLES = 3;

export async function readResults(place: Place): Promise<Results> {
  const client = await openClient({ directory: place.directory, environment: environmentOf(place) });
  try {
    const [before, after] = await Promise.all(
      ['base', 'dpo'].map((policy) => differences(client, `${EVALUATION}.pairs.${policy}`)),
    );
    // beta log (pi / pi_ref) of the chosen answer less that of the rejected one (Rafailov et al. 2023).
    const margins = [...before!].flatMap(([id, base]) => {
      const trained = after!.get(id);
      return trained === undefined ? [] : [BETA * (trained - base)];
    });
    return {
      accuracy: winRateOf(margins.map((margin) => (margin > 0 ? 'a' : margin < 0 ? 'b' : 'tie'))),
      margin: meanEstimate(margins),
      samples: await samples(client),
    };
  } finally {
    await client.close();
  }
}

/** Of each comparison, by its place: the log-prob of the best answer less that of the worst. */
async function differences(client: Client, run: string): Promise<Map<string, number>> {
  const view = (await readRuns(client.events.readAll(['runs']))).get(run)!;
  const best = new Map<string, readonly number[]>();
  const logprobs = new Map<string, readonly (readonly number[])[]>();
  for await (const { type, data } of runEvents(client, view, ['comparisons', 'reference-logprobs'])) {
    if (type === 'comparison.recorded') best.set(data.comparison, data.ranks);
    if (type === 'reference.scored') logprobs.set(data.subject, data.logprobs);
  }
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return new Map(
    [...best].flatMap(([id, ranks]) => {
      const rows = logprobs.get(id);
      if (!rows) return [];
      const [first, last] = [Math.min(...ranks), Math.max(...ranks)].map((rank) =>
        sum(rows[ranks.indexOf(rank)]!),
      );
      return [[id.slice(run.length), first! - last!] as const];
    }),
  );
}

async function samples(client: Client): Promise<Results['samples']> {
  const views = await readRuns(client.events.readAll(['runs']));
  const byPrompt = new Map<string, Record<string, string>>();
  for (const policy of POLICIES) {
    const view = views.get(`${EVALUATION}.answers.${policy}`)!;
    for await (const { type, data } of runEvents(client, view, ['rollouts'])) {
      if (type !== 'rollout.generated') continue;
      const prompt = data.messages?.at(-1)?.content ?? data.promptText;
      const key = String(prompt);
      byPrompt.set(key, { ...byPrompt.get(key), [policy]: data.text });
    }
  }
  return [...byPrompt].slice(0, SAMPLES).map(([prompt, answers]) => ({ prompt, answers }));
}
