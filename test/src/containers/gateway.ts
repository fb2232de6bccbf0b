/** Runs as the gateway of a stack shows them. */
import { setTimeout as pause } from 'node:timers/promises';
import type { DataFor } from '@rlhf-streams/events';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { reproducible } from '../platform/outcome.js';

const REQUEST_TIMEOUT_MS = 30_000;
const POLL_MS = 100;

export interface RunState {
  readonly status: string;
  readonly steps: { readonly done: number };
  readonly cause?: unknown;
}

export async function request(gateway: string, config: RunConfigInput): Promise<void> {
  await ask(`${gateway}/v1/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(config),
  });
}

export async function show(gateway: string, run: string): Promise<RunState> {
  return (await ask(`${gateway}/v1/runs/${run}`)).json() as Promise<RunState>;
}

/** Waits until `enough`. @throws Error with the last state, after `timeoutMs` or when the run failed. */
export async function untilRun(
  gateway: string,
  run: string,
  enough: (state: RunState) => boolean,
  timeoutMs = 120_000,
): Promise<RunState> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const known = await fetch(`${gateway}/v1/runs/${run}`, {
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    const state = (await known.json()) as RunState;
    if (known.ok && enough(state)) return state;
    if (state.status === 'failed' || Date.now() > deadline)
      throw new Error(`expected more of run ${run} within ${timeoutMs} ms, got ${JSON.stringify(state)}`);
    await pause(POLL_MS);
  }
}

/** Every step of a run that has ended, without the times it took; work done twice has the same id, and counts once. */
export async function stepsOf(gateway: string, run: string): Promise<DataFor<'step.completed'>[]> {
  const stream = await (await ask(`${gateway}/v1/runs/${run}/events`)).text();
  const events = [...stream.matchAll(/^data: ?(.*)$/gm)].map(
    ([, json]) => JSON.parse(json!) as { id: string; type: string; data: DataFor<'step.completed'> },
  );
  const steps = events.filter(({ type }) => type === 'step.completed');
  const once = new Map(steps.map(({ id, data }) => [id, reproducible(data)]));
  return [...once.values()];
}

async function ask(url: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
  if (!response.ok)
    throw new Error(`expected ${url} to answer, got ${response.status}: ${await response.text()}`);
  return response;
}
