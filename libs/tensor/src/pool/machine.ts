/** A workspace of a pool: state in shared memory, calls on workers. */

import { type Frozen, type Program, type Specs, specOf } from '../engine.js';
import { captureProgram } from '../engines/captured.js';
import { type FrozenStore, namesOf } from '../engines/frozen.js';
import { mapFile, withMapped } from '../engines/mapped.js';
import { blocksOf, doBlocks, type HostPlan, scalarsOf, spansOf, sumsOf } from '../kernels/plan.js';
import type { Model } from '../onnx/model.js';
import { applyEffects, outputsOf } from '../workspace/effects.js';
import { type HostTensor, hostTensor } from '../workspace/host-tensor.js';
import type { Access } from '../workspace/order.js';
import type { Machine, Prepared } from '../workspace/workspace.js';
import { collectGarbageSoon } from './garbage.js';
import { layOut, type Region, type SharedMemory, sharedMemory, spanIn } from './memory.js';
import type { ThreadState } from './thread.js';
import type { Worker, Workers } from './workers.js';

export interface MachineOptions {
  readonly state: Specs;
  readonly frozen: Frozen | undefined;
  readonly store: FrozenStore;
  readonly workers: Workers;
  /** Number of the workspace among those of its pool. */
  readonly id: number;
  /** The most bytes that the WebAssembly memory may have. */
  readonly most: number;
}

/** Fewer blocks than this are computed here: handing them to threads would take longer. */
const FEW_BLOCKS = 4;

export function createMachine({ state, frozen, store, workers, id, most }: MachineOptions): Machine {
  const mapped = frozen && 'stored' in frozen ? mapFile(frozen.stored) : undefined;
  const kept = frozen && !mapped ? store.use(state, frozen) : {};
  const frozenNames = new Set(frozen && namesOf(frozen));
  for (const name of frozenNames) specOf(state, name);
  const changing = Object.fromEntries(Object.entries(state).filter(([name]) => !frozenNames.has(name)));
  const memory = sharedMemory(changing, most);
  /** What threads are given: mapped tensors are not among it, for their sessions have them. */
  const spans = {
    ...memory.spans,
    ...Object.fromEntries(Object.entries(kept).map(([name, view]) => [name, { view }])),
  };
  const tensors: Record<string, HostTensor> = Object.fromEntries(
    Object.entries(state).map(([name, spec]) => [
      name,
      hostTensor(name, spec, spans[name] ?? mapped!.span(name, spec)),
    ]),
  );
  const own = `workspace ${id}/`;
  const frozenPrefix = `frozen ${frozen?.hash}/`;
  const threadState: ThreadState = {
    specs: state,
    memory: { spans, maximum: memory.maximum, ...(memory.memory && { memory: memory.memory }) },
    keys: Object.fromEntries(
      Object.keys(state).map((name) => [name, (kept[name] ? frozenPrefix : own) + name]),
    ),
  };
  const attach = (worker: Worker) => worker.once(own, (call) => call.attach(id, threadState));
  const regions = createRegions(workers.count + 1, memory);
  let programs = 0;
  const programKey = (program: number) => `${own}program ${program}`;

  const modelProgram = ({ inputs, first }: Program, captured: Model, access: Access): Prepared => {
    const program = programs++;
    const model = mapped ? withMapped(captured, mapped, state, frozen!.hash) : captured;
    const opened = { model, inputs, ...(first && { first }), ...(mapped && { folder: mapped.folder }) };
    const { offsets, bytes } = layOut(model.effects.map(({ spec }) => spec));
    const taken = Object.values(model.state);
    const open = async (worker: Worker) => {
      await attach(worker);
      await worker.once(programKey(program), (call) => call.open(programId(id, program), id, opened));
    };
    return {
      ...access,
      effects: model.effects,
      async compute(feeds, begun) {
        const region = await regions.acquire(bytes);
        const worker = await workers.acquire();
        begun();
        try {
          await open(worker);
          for (const name of taken) tensors[name]!.read();
          const versions = taken.map((name) => tensors[name]!.version);
          await worker.call.run(programId(id, program), versions, feeds, region);
        } catch (error) {
          regions.release(region);
          throw error;
        } finally {
          workers.release(worker);
        }
        return () => {
          try {
            const computed = model.effects.map((effect, i) => ({
              ...effect,
              span: spanIn(region, effect.spec, offsets[i]!),
            }));
            applyEffects(computed, tensors, memory.loops);
            const outputs = Object.entries(outputsOf(computed));
            return Object.fromEntries(outputs.map(([name, buffer]) => [name, buffer.slice()]));
          } finally {
            regions.release(region);
          }
        };
      },
    };
  };

  const loopsOver = (plan: HostPlan): Prepared['compute'] => {
    const program = programs++;
    const blocks = blocksOf(plan, state);
    const share = Math.ceil(blocks.length / workers.count);
    const onWorkers = async (scalars: ReturnType<typeof scalarsOf>) => {
      const parts = Array.from({ length: workers.count }, async (_, i) => {
        const worker = await workers.acquire();
        try {
          await attach(worker);
          await worker.once(programKey(program), (call) => call.openPlan(programId(id, program), id, plan));
          return await worker.call.doBlocks(programId(id, program), scalars, i * share, (i + 1) * share);
        } finally {
          workers.release(worker);
        }
      });
      const results = await Promise.all(parts);
      return results.flat();
    };
    return async (feeds) => {
      const scalars = scalarsOf(plan, feeds);
      const touched = spansOf(plan, tensors);
      const results =
        blocks.length < FEW_BLOCKS || Object.keys(touched).some((name) => !spans[name])
          ? doBlocks(plan, blocks, scalars, touched, memory.loops)
          : await onWorkers(scalars);
      for (const name of plan.zeros) tensors[name]!.setZero();
      return () => sumsOf(plan, blocks, results);
    };
  };

  return {
    tensors,
    frozen: frozenNames,
    checkOpen: workers.checkOpen,
    prepare(program) {
      const captured = captureProgram(program, state, this.frozen);
      const { reads, writes } = captured;
      if ('model' in captured) return modelProgram(program, captured.model, { reads, writes });
      return { reads, writes, inPlace: true, effects: captured.effects, compute: loopsOver(captured.plan) };
    },
    async dispose() {
      for (let program = 0; program < programs; program++)
        await workers.undo(programKey(program), (call) => call.release(programId(id, program)));
      const unused = frozen && !mapped && store.leave(frozen);
      await workers.undo(own, async (call) => {
        await call.detach(id);
        await call.forget(own);
      });
      if (unused) await workers.everywhere((call) => call.forget(frozenPrefix));
      collectGarbageSoon();
    },
  };
}

const programId = (workspace: number, program: number): string => `${workspace}.${program}`;

interface Regions {
  acquire(bytes: number): Promise<Region>;
  release(region: Region): void;
}

/** Shared memory for the results of calls until they are committed: one region more than workers, so that no worker waits for a commit. */
function createRegions(count: number, memory: SharedMemory): Regions {
  const free: (Region | undefined)[] = Array.from({ length: count });
  const waiting: ((region: Region | undefined) => void)[] = [];
  const release = (region: Region | undefined) => {
    const next = waiting.shift();
    if (next) next(region);
    else free.push(region);
  };
  return {
    async acquire(bytes) {
      const region =
        free.length > 0
          ? free.pop()
          : await new Promise<Region | undefined>((resolve) => waiting.push(resolve));
      if (region && region.bytes >= bytes) return region;
      try {
        return memory.allocate(bytes);
      } catch (error) {
        release(region);
        throw error;
      }
    },
    release,
  };
}
