/** What policy replicas report of the versions that they apply: this one's reports, and the latest ones of all. */
import type { Projection, Received } from '@rlhf-streams/bus';
import type { ServiceContext } from '@rlhf-streams/service';
import type { FollowerOptions } from './follower.js';

/** A replica's latest report on a run. */
export interface ReplicaView {
  readonly replica: string;
  readonly run: string;
  /** The version that it samples from, if any. */
  readonly applied?: number;
}

export function createReports(
  { events, logger }: Pick<ServiceContext, 'events' | 'logger'>,
  replica: string,
): FollowerOptions['report'] {
  // The version is applied, reported or not, and the next report makes up for a lost one.
  const onError = (err: unknown) => logger.error({ err, replica }, 'could not report the version applied');
  return {
    async applied(data) {
      logger.debug(data, 'policy applied');
      const id = `${replica}/${data.run}/${data.version}`;
      await events.publish([{ type: 'replica.applied', id, data: { replica, ...data } }]).catch(onError);
    },
    async behind({ failures, ...data }) {
      logger.warn(data, `behind: ${data.cause.message}`);
      const id = `${replica}/${data.run}/${data.version}/behind/${failures}`;
      await events.publish([{ type: 'replica.behind', id, data: { replica, ...data } }]).catch(onError);
    },
  };
}

/** The latest report of every replica on every run, by `replica/run`. `onChange` is called after each report. */
export const projectReplicas = (
  { project }: Pick<ServiceContext, 'project'>,
  onChange: () => void,
): Projection<ReplicaView> =>
  project<'policy-replicas', ReplicaView>({
    topics: ['policy-replicas'],
    apply: (state, { key, type, data }: Received<'policy-replicas'>) => {
      const { replica, run } = data;
      const applied = type === 'replica.applied' ? data.version : data.applied;
      state.set(key, { replica, run, ...(applied !== undefined && { applied }) });
      onChange();
    },
  });
