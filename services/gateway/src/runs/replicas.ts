import type { Received } from '@rlhf-streams/bus';
import { Cause } from '@rlhf-streams/events';
import { z } from 'zod';

export const Replica = z
  .object({
    replica: z.string(),
    applied: z.int().optional().describe('the version it samples from'),
    behind: z
      .object({ version: z.int().describe('wanted'), cause: Cause })
      .optional()
      .describe('why it samples from none newer'),
    time: z.iso.datetime().describe('of its last report'),
  })
  .meta({ id: 'Replica', description: 'A policy replica that has served the run' });
export type Replica = z.output<typeof Replica>;

/** Keeps the last report of each replica of a run, in the order of their ids. */
export function applyReplica(replicas: Map<string, Replica[]>, event: Received<'policy-replicas'>): void {
  const { replica, run } = event.data;
  const time = new Date(event.time).toISOString();
  const others = (replicas.get(run) ?? []).filter((other) => other.replica !== replica);
  const all = [...others, { replica, ...reportOf(event), time }];
  replicas.set(
    run,
    all.sort((a, b) => (a.replica < b.replica ? -1 : 1)),
  );
}

function reportOf({ type, data }: Received<'policy-replicas'>): Pick<Replica, 'applied' | 'behind'> {
  if (type === 'replica.applied') return { applied: data.version };
  const { applied, version, cause } = data;
  return { ...(applied !== undefined && { applied }), behind: { version, cause } };
}
