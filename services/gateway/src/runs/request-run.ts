/** How a run is requested: an event on topic `runs`, once, and confirmed by the log. */
import { randomUUID } from 'node:crypto';
import { differences, neverStarted, type RunConfig, type RunView, requestedConfig } from '@rlhf-streams/runs';
import { type FieldError, problem } from '@rlhf-streams/service';
import { withDeadline } from '@rlhf-streams/waiting';
import { z } from 'zod';
import type { Asked } from './admitted.js';
import type { RunsContext } from './context.js';
import { locationOf } from './view.js';

/** Tells requests apart that are the same. */
const REQUEST_HEADER = 'rlhf_request';

export interface RequestedRun {
  readonly state: RunView;
  /** Whether this request made the run: false where the log had it, or took the same request of somebody else first. */
  readonly isNew: boolean;
}

/**
 * Requests a run, unless the log has it already, and resolves when the log shows it. One that ended before it was
 * started is requested anew.
 * @throws a problem: 409 RUN_EXISTS, naming each setting that differs, where the log has another run of the name; 503
 * RUN_NOT_CONFIRMED.
 */
export async function requestRun(
  config: RunConfig,
  context: Pick<RunsContext, 'runs' | 'confirm' | 'log' | 'timeoutMs'>,
): Promise<RequestedRun> {
  const { run } = config;
  const existing = context.runs.state.get(run);
  if (existing && !neverStarted(existing)) return { state: same(existing, config), isNew: false };
  const request = randomUUID();
  const { state, published } = await context.confirm(
    {
      type: 'run.requested',
      data: { run, config },
      id: `${run}/requested`,
      headers: { [REQUEST_HEADER]: request },
    },
    ({ requestOffset }) => requestOffset !== existing?.requestOffset,
  );
  // The first request counts, and it may have been somebody else's.
  same(state, config);
  return { state, isNew: published && (await firstRequest(state, context)) === request };
}

/** The request header of the event that made the run: gateways may have published the same request at once. */
async function firstRequest(
  { partition, requestOffset }: RunView,
  { log, timeoutMs }: Pick<RunsContext, 'log' | 'timeoutMs'>,
): Promise<string | undefined> {
  const offsets = Array.from({ length: partition + 1 }, (_, index) =>
    index === partition ? requestOffset : 0,
  );
  const read = async (signal: AbortSignal) => {
    const from = { runs: offsets };
    const options = { topics: ['runs'], partitions: [partition], maxBatchRecords: 1, follow: false, signal };
    for await (const { records } of log.read({ ...options, from }))
      return records[0]!.headers[REQUEST_HEADER];
    return undefined;
  };
  return withDeadline(read, { ms: timeoutMs, late: 'the log to show the first request' });
}

const MOST_NAMED = 50;

function same(state: RunView, config: RunConfig): RunView {
  const errors = differing(state, config).slice(0, MOST_NAMED);
  if (state.config && errors.length === 0) return state;
  const where = errors.length > 0 ? `, which differs in ${errors.map(({ path }) => path).join(', ')}` : '';
  throw problem(
    409,
    'RUN_EXISTS',
    'The run exists',
    `run ${state.run} exists with another configuration${where}: choose another id, or see ${locationOf(state.run)}`,
    { errors },
  );
}

/** Where a configuration is not that of the run, by the paths that it has in the request. */
export function differing(view: RunView, config: RunConfig, at: Asked['at'] = []): FieldError[] {
  const existing = requestedConfig(view);
  return (existing ? differences(existing, config) : []).map(({ path, values: [has, asked] }) => ({
    path: [...(at.length > 0 ? [z.core.toDotPath([...at])] : []), path].join('.'),
    message: `expected ${inShort(has)}, as the run has it, got ${inShort(asked)}`,
    code: 'differs',
  }));
}

const MOST_SHOWN = 100;

export function inShort(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}
