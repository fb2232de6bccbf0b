import { serve } from '@rlhf-streams/threads';
import { type Buffers, type DType, type Specs, sizeOf, type TypedBuffer } from '../engine.js';
import { createSessions, type Feed, feed, inputFeeds, type Session } from '../engines/session.js';
import { type Block, blocksOf, doBlocks, type HostPlan } from '../kernels/plan.js';
import { type AdamWScalars, type Loops, plainLoops } from '../loops/loops.js';
import { simdLoops } from '../loops/simd.js';
import type { Model } from '../onnx/model.js';
import { collectGarbageSoon } from './garbage.js';
import { layOut, type Region, spanIn, type ThreadMemory } from './memory.js';

/** The state of a workspace, as threads know it. */
export interface ThreadState {
  readonly specs: Specs;
  readonly memory: ThreadMemory;
  /** Names each tensor among those of all workspaces. */
  readonly keys: Readonly<Record<string, string>>;
}

/** A program as threads are given it. */
interface ModelProgram {
  readonly model: Model;
  readonly inputs: Specs;
  /** Of these tensors of the state it takes the first rows alone. */
  readonly first?: Readonly<Record<string, number>>;
  /** Where the file lies that has its constants. */
  readonly folder?: string;
}

interface Opened extends ModelProgram {
  readonly state: ThreadState;
  readonly session: Session;
  /** Where in a region each result goes. */
  readonly offsets: readonly number[];
}

const sessions = createSessions({});
const states = new Map<number, ThreadState & { readonly loops: Loops }>();
const programs = new Map<string, Opened>();
const plans = new Map<
  string,
  { readonly space: number; readonly plan: HostPlan; readonly blocks: Block[] }
>();
/** ONNX Runtime takes private memory alone: copies of tensors of the state, by their keys, as old as their version. */
const copies = new Map<string, { readonly buffer: TypedBuffer; readonly feed: Feed; version: number }>();

function stateFeed({ specs, memory, keys }: ThreadState, name: string, version: number): Feed {
  const shared = memory.spans[name]!.view;
  const known = copies.get(keys[name]!);
  if (known) {
    if (known.version !== version) known.buffer.set(shared);
    known.version = version;
    return known.feed;
  }
  const buffer = shared.slice();
  const made = { buffer, feed: feed(specs[name]!, buffer), version };
  copies.set(keys[name]!, made);
  return made.feed;
}

function firstRows(whole: Feed, rows: number | undefined): Feed {
  if (rows === undefined) return whole;
  const shape = whole.dims.with(0, rows);
  return feed({ shape, dtype: whole.type as DType }, (whole.data as TypedBuffer).subarray(0, sizeOf(shape)));
}

const api = {
  async attach(space: number, state: ThreadState): Promise<void> {
    const { memory, maximum } = state.memory;
    states.set(space, { ...state, loops: memory ? simdLoops(memory, maximum) : plainLoops });
  },
  async open(program: string, space: number, opened: ModelProgram): Promise<void> {
    const { model, folder } = opened;
    // What would be laid out anew for a session is no longer shared. A large model has a session for each of its shapes, and
    // those would keep the peak of each.
    const mapping = folder === undefined ? {} : { folder, packs: false, keepsMemory: false };
    const session = await sessions.use(model.hash, () => ({ bytes: model.bytes, ...mapping }));
    const { offsets } = layOut(model.effects.map(({ spec }) => spec));
    programs.set(program, { ...opened, state: states.get(space)!, session, offsets });
  },
  /** @param versions of the tensors of the state that the model takes, in its order */
  async run(program: string, versions: readonly number[], given: Buffers, into: Region): Promise<void> {
    const { state, model, inputs, first, session, offsets } = programs.get(program)!;
    const stateFeeds = Object.entries(model.state).map(([input, name], i) => [
      input,
      firstRows(stateFeed(state, name, versions[i]!), first?.[name]),
    ]);
    const feeds = { ...Object.fromEntries(stateFeeds), ...inputFeeds(inputs, model, given) };
    const results = await session.run(feeds, model.outputs);
    model.effects.forEach(({ spec, output }, i) => {
      spanIn(into, spec, offsets[i]!).view.set(results[output]!);
    });
  },
  async openPlan(program: string, space: number, plan: HostPlan): Promise<void> {
    plans.set(program, { space, plan, blocks: blocksOf(plan, states.get(space)!.specs) });
  },
  /** Does the blocks from `begin` to `end` of a plan; a number for each comes back. */
  async doBlocks(
    program: string,
    scalars: readonly AdamWScalars[],
    begin: number,
    end: number,
  ): Promise<number[]> {
    const { space, plan, blocks } = plans.get(program)!;
    const { memory, loops } = states.get(space)!;
    return doBlocks(plan, blocks.slice(begin, end), scalars, memory.spans, loops);
  },
  async release(program: string): Promise<void> {
    plans.delete(program);
    const opened = programs.get(program);
    programs.delete(program);
    if (opened) await sessions.leave(opened.model.hash);
  },
  async detach(space: number): Promise<void> {
    states.delete(space);
    collectGarbageSoon();
  },
  /** Drops the copies of tensors whose keys begin so. */
  async forget(prefix: string): Promise<void> {
    for (const key of copies.keys()) if (key.startsWith(prefix)) copies.delete(key);
  },
};

export type PoolApi = typeof api;
serve(api);
