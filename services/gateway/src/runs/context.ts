/** What the routes of runs work with. */
import type { ArtifactStore } from '@rlhf-streams/artifacts';
import type { Events, Projection } from '@rlhf-streams/bus';
import type { EventLog } from '@rlhf-streams/log';
import type { RunView } from '@rlhf-streams/runs';
import type { OpenStreams } from '@rlhf-streams/service';
import type { Roots } from './admitted.js';
import type { Confirm } from './confirm.js';
import type { Extents } from './extents.js';
import type { History } from './history.js';
import type { Replica } from './replicas.js';

export interface RunsContext {
  readonly log: EventLog;
  readonly events: Events;
  readonly artifacts: Pick<ArtifactStore, 'fetch' | 'has'>;
  readonly streams: OpenStreams;
  readonly runs: Projection<RunView>;
  /** The runs as the log has them now, while `runs` may lag behind it. */
  readonly newestRuns: (signal: AbortSignal) => Promise<ReadonlyMap<string, RunView>>;
  readonly history: History;
  readonly extents: Extents;
  readonly replicas: Projection<Replica[]>;
  readonly confirm: Confirm;
  /** Where files may lie that a configuration names. */
  readonly roots: Roots;
  /** Milliseconds a request may wait for the log. */
  readonly timeoutMs: number;
  /** Aborted when the service begins to drain. */
  readonly draining: AbortSignal;
}
