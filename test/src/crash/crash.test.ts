import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '@rlhf-streams/data';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { outcomeIn } from '../platform/outcome.js';
import { tinyComparisons, tinyDpo, tinyPpo, tinySft, writeReviews } from '../platform/tiny-runs.js';
import { type Fact, type LifeOptions, live, versionsIn } from './life.js';

const kills = Number(process.env.CRASH_KILLS ?? 2);
const MOST_DELAY_MS = 500;
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);

/** Both go on after they have completed. */
const extensions = [
  { run: 'sft', steps: 7 },
  { run: 'ppo', steps: 11 },
];

let folder: string;
let runs: RunConfigInput[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crash-'));
  const data = await writeReviews(folder);
  const evaluated = { evaluateEvery: 3, maxTestItems: 4 };
  const ppo = { ...tinyPpo(data, 'run:sft'), ...evaluated, steps: 8, checkpointEvery: 4 };
  runs = [tinySft(data), ppo, { ...tinyComparisons(data), steps: 2 }, { ...tinyDpo(), evaluateEvery: 2 }];
});
afterEach(() => rm(folder, { recursive: true }));

/**
 * A pipeline of `total` facts in `kills / 2` parts: each part is met by two kills, one while the process still comes
 * back from the kill before, and one at a random fact. Each life costs three seconds of CPU time; CRASH_KILLS asks for
 * more of them.
 */
function killsOf(total: number): NonNullable<LifeOptions['end']>[] {
  const random = seededRandom(seed);
  const part = (0.95 * total) / (kills / 2);
  return Array.from({ length: kills }, (_, i) => ({
    signal: 'SIGKILL',
    ...(i % 2 === 0
      ? { facts: 1, delayMs: random.below(MOST_DELAY_MS) }
      : { facts: Math.ceil(part * ((i - 1) / 2 + random.float())), delayMs: 0 }),
  }));
}

describe('runs that are requested together, whose process is killed', () => {
  it(`end in the same bits as one after another, when nobody kills it (CRASH_SEED=${seed})`, async () => {
    const whole = { directory: join(folder, 'whole'), runs, extensions, facts: new Map<string, Fact>() };
    expect(await live(whole)).toBe('completed');

    // Listed the other way round: each waits for those after it.
    const experiment = { experiment: 'e', runs: runs.toReversed() };
    const killed = {
      directory: join(folder, 'killed'),
      runs: experiment,
      extensions,
      facts: new Map<string, Fact>(),
    };
    for (const end of killsOf(whole.facts.size)) expect(await live({ ...killed, end })).toBe('SIGKILL');
    expect(await live(killed)).toBe('completed');

    expect(versionsIn(killed.facts)).toEqual(versionsIn(whole.facts));
    const requests = [...killed.facts.values()].filter(({ type }) => type === 'run.requested');
    expect(requests).toHaveLength(runs.length);
    const outcome = await outcomeIn(killed.directory);
    expect(outcome).toEqual(await outcomeIn(whole.directory));
    expect(Object.keys(outcome.weights).sort()).toEqual(['comparisons', 'dpo', 'ppo', 'sft']);
    expect(outcome.deadLetters).toEqual([]);
  }, 600_000);
});
