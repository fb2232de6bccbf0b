/** Collects artifacts that no event refers to any more, at an interval. */
import { own } from '@rlhf-streams/log';
import { ARTIFACT_TOPICS, liveArtifacts } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { FOREVER_MS, pause } from '@rlhf-streams/waiting';
import { z } from 'zod';

export const garbageSettings = z.object({
  RLHF_GC_INTERVAL_MS: z.coerce
    .number()
    .int()
    .min(0)
    .max(FOREVER_MS)
    .default(0)
    .meta({ defaultInWords: '0: never' })
    .describe(
      'milliseconds between collections of the artifacts that no run needs any more; without them, every checkpoint stays',
    ),
  RLHF_GC_GRACE_MS: z.coerce
    .number()
    .int()
    .min(60_000)
    .max(FOREVER_MS)
    .default(3_600_000)
    .describe(
      'milliseconds for which what was written is not collected: longer than a step takes to be published, and than a collection, or a checkpoint is lost before it is announced',
    ),
});

/** One replica collects: the one that owns the first partition of `runs`. */
export async function collectRegularly({
  settings,
  log,
  events,
  artifacts,
  logger,
  onStop,
}: Pick<
  ServiceContext<z.output<typeof garbageSettings>>,
  'settings' | 'log' | 'events' | 'artifacts' | 'logger' | 'onStop'
>): Promise<void> {
  const { RLHF_GC_INTERVAL_MS: intervalMs, RLHF_GC_GRACE_MS: graceMs } = settings;
  if (intervalMs === 0) return;
  const ownership = await own(
    log,
    { group: 'garbage-collector', topic: 'runs' },
    async (partition, signal) => {
      while (partition === 0) {
        await pause(intervalMs, signal);
        if (signal.aborted) return;
        const live = await liveArtifacts(events.readAll(ARTIFACT_TOPICS, { signal }));
        logger.info(
          { live: live.length, ...(await artifacts.collect(live, { graceMs })) },
          'collected artifacts',
        );
      }
    },
    { onError: (err) => logger.error({ err }, 'artifacts could not be collected') },
  );
  onStop(() => ownership.close(), 'garbage collection');
}
