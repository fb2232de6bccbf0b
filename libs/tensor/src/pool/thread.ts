import { workerData } from 'node:worker_threads';
import { serve } from '@rlhf-streams/threads';
import type { Buffers, Specs } from '../engine.js';
import { openSession, type Session, type SessionOptions } from '../engines/session.js';

/** Options of every session in the thread. */
export type ThreadOptions = Pick<SessionOptions, 'device'>;

const options = workerData as ThreadOptions;
const sessions = new Map<number, Promise<Session>>();

const api = {
  async open(program: number, model: Uint8Array, specs: { inputs: Specs; outputs: Specs }): Promise<void> {
    const session = openSession(model, specs, options);
    sessions.set(program, session);
    await session;
  },
  async run(program: number, inputs: Buffers, into: Buffers): Promise<Buffers> {
    const session = await sessions.get(program)!;
    const results = await session.run(inputs, into);
    return Object.fromEntries(Object.entries(results).filter(([name]) => !into[name]));
  },
  async release(program: number): Promise<void> {
    const session = sessions.get(program);
    sessions.delete(program);
    await (await session)?.release();
  },
};

export type PoolApi = typeof api;
serve(api);
