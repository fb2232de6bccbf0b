/** What is trained, as it is before the first step. */
import {
  type FrozenFile,
  initialiseWeights,
  type ModelTensor,
  mergeAdapter,
  modelKind,
  readAdapter,
  readFrozen,
  readWeights,
  tensorsOf,
  type WeightTensor,
} from '@rlhf-streams/model';
import type { Buffers } from '@rlhf-streams/tensor';
import type { Layout } from '../trainer/layout.js';
import type { Bases } from './bases.js';
import type { Start, StartingModel } from './models.js';

type Weights = ReadonlyMap<string, WeightTensor>;

/**
 * The values of the layout's trained tensors: those of the models as they are, and new ones of what they have not, which are
 * a new adapter and a new head.
 */
export async function initialParameters(
  layout: Layout,
  starts: readonly Start[],
  bases: Pick<Bases, 'of'>,
  seed: number,
): Promise<Buffers> {
  const read = new Map<StartingModel, Weights>();
  const buffers: Record<string, Float32Array> = {};
  for (const start of starts) {
    const { trained, folders, config } = start;
    const { role } = trained;
    const own = new Map([...tensorsOf(config)].filter(([, { frozen }]) => !frozen));
    const isNew = newTensorsOf(start);
    const wanted = (name: string) => own.has(name) && isNew(name, own.get(name)!);
    const base = bases.of(role);
    const given = base
      ? await adapterWeights(start, base, (name) => own.has(name) && !wanted(name))
      : (read.get(folders) ?? (await wholeWeights(start)));
    if (!base) read.set(folders, given);
    const made = initialiseWeights(config, seed, wanted);
    for (const name of own.keys())
      buffers[layout.namesOf(role).get(name)!] ??= (made.get(name) ?? given.get(name)!).data;
  }
  return buffers;
}

/** Which tensors the model has not that training starts from, or has for a head of another kind. */
function newTensorsOf({ trained: { head }, described }: Start) {
  const keepsHead = head === 'language' || modelKind(described.config) === 'reward model';
  const had = tensorsOf(described.config);
  return (name: string, { ofHead }: ModelTensor): boolean => (ofHead ? !keepsHead : !had.has(name));
}

/** All weights of a model; an adapter is merged into its base. */
async function wholeWeights({ folders, described }: Start): Promise<Weights> {
  const weights = await readWeights(folders.base, described.base);
  if (folders.adapter === undefined) return weights;
  const { config, tensors } = await readAdapter(folders.adapter, described.base);
  return mergeAdapter(config, weights, tensors).tensors;
}

/** Those of the adapter that a model starts with, and copies of the base's that are trained besides. */
async function adapterWeights(
  { folders, described, config }: Start,
  base: FrozenFile,
  wanted: (name: string) => boolean,
): Promise<Weights> {
  const { tensors: ofAdapter } = folders.adapter
    ? await readAdapter(folders.adapter, described.base)
    : { tensors: new Map<string, WeightTensor>() };
  const copied = [...tensorsOf(config)].filter(([name]) => wanted(name) && !ofAdapter.has(name));
  const copies = await readFrozen(base, new Map(copied.map(([name, { shape }]) => [name, shape])));
  return new Map([...copies, ...ofAdapter]);
}
