/** Services killed with SIGKILL at random moments of runs. */
import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '@rlhf-streams/data';
import type { Processes, ServiceName } from 'rlhf-streams';
import type { Moment } from './moments.js';

const services = ['policy', 'reward', 'reference', 'optimizer', 'coordinator', 'gateway'] as const;

export interface Kill {
  readonly service: ServiceName;
  /** The number of different events of the runs on the log at which the service is killed. */
  readonly facts: number;
  /** Milliseconds after which its next life is killed too. */
  readonly againAfterMs?: number;
}

/** The part of the runs that kills fall into; in the rest, what they interrupted is finished. */
const PART_OF_RUNS = 0.8;
/** Indices of the kills that another one follows soon: every third, while much of the runs is left. */
const AGAIN = [0, 3, 6, 9];
const MOST_AGAIN_MS = 1_500;

/** Kills every service three times, in any order, at random moments of runs with `total` different events: 22 in all. */
export function planKills(seed: number, total: number): Kill[] {
  const random = seededRandom(seed);
  const victims = [...services, ...services, ...services];
  for (let i = victims.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [victims[i], victims[j]] = [victims[j]!, victims[i]!];
  }
  const moments = victims.map(() => Math.ceil(random.float() * PART_OF_RUNS * total)).sort((a, b) => a - b);
  return victims.map((service, i) => ({
    service,
    facts: moments[i]!,
    ...(AGAIN.includes(i) && { againAfterMs: random.below(MOST_AGAIN_MS) }),
  }));
}

/** How often a plan kills a service. */
export const killsOf = (service: string, plan: readonly Kill[]): number =>
  plan
    .filter((kill) => kill.service === service)
    .reduce((sum, { againAfterMs }) => sum + (againAfterMs === undefined ? 1 : 2), 0);

export const momentsOf = (platform: Processes, plan: readonly Kill[]): Moment[] =>
  plan.map((kill) => ({ facts: kill.facts, act: (signal) => carryOut(platform, kill, signal) }));

const LOOK_MS = 10;

async function carryOut(
  platform: Processes,
  { service, againAfterMs }: Kill,
  signal: AbortSignal,
): Promise<void> {
  const victim = platform.services.find((each) => each.service === service)!;
  const kill = async () => {
    while (victim.pid === undefined) await delay(LOOK_MS, undefined, { signal });
    const { lives } = victim;
    victim.kill('SIGKILL');
    while (victim.lives === lives) await delay(LOOK_MS, undefined, { signal });
  };
  await kill();
  if (againAfterMs === undefined) return;
  await delay(againAfterMs, undefined, { signal });
  await kill();
}
