/** What policy replicas say of the versions they apply: this one's reports, and the word of the others. */
import type { Projection, Received } from '@rlhf-streams/bus';
import type { ServiceContext } from '@rlhf-streams/service';
import type { FollowerOptions } from './follower.js';

/** The last word of a replica on a run. */
export interface ReplicaView {
  readonly replica: string;
  readonly run: string;
  /** What it samples from, if anything. */
  readonly applied?: number;
}

export function createReports(
  { events, logger }: Pick<ServiceContext, 'events' | 'logger'>,
  replica: string,
): FollowerOptions['report'] {
  // A report that is lost is made up for by the next one; the weights are applied all the same.
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

/** The last word of every replica on every run, by `replica/run`; `onChange` is told of each. */
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
