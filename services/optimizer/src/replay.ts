/** What a replay needs besides what every run does: the run that it replays. */
import { type Item, type RunConfig, type RunView, readRuns, replayed } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { OptimizerError } from './errors.js';

/**
 * The run that a replay replays, as the log has it; undefined for any other run.
 * @throws OptimizerError REPLAY_INCOMPLETE when the log does not know it.
 */
export async function replayedRun(
  events: ServiceContext['events'],
  config: RunConfig,
  signal: AbortSignal,
): Promise<RunView | undefined> {
  const replay = replayed(config);
  if (replay === undefined) return undefined;
  const source = (await readRuns(events.readAll(['runs'], { signal }), replay)).get(replay);
  if (source) return source;
  throw new OptimizerError('REPLAY_INCOMPLETE', `expected the log to know run ${replay}, which is replayed`);
}

/** How many steps the run was to have at each of its steps: a replay of a whole run follows what that run had. */
export function lengthsOf({
  view,
  source,
  config,
}: {
  readonly view: RunView;
  readonly source: RunView | undefined;
  readonly config: RunConfig;
}): Pick<RunView, 'steps' | 'extents'> {
  if (!source?.config) return view;
  const isWhole = config.steps === source.config.steps && config.epochs === source.config.epochs;
  return isWhole ? source : { steps: config.steps! };
}

/** An item of a replay whose policies equal those of its run to the bit, so that its rollouts are on-policy. */
export const sampledBy = (run: string, item: Item): Item =>
  item.rollout ? { ...item, rollout: { ...item.rollout, run } } : item;
