/** What programs do to the state, as a list. */
import type { Tensor } from '@tensorflow/tfjs';
import type { Buffers, DType, Effects, Specs, TensorSpec, TypedBuffer } from '../engine.js';
import { sizeOf } from '../engine.js';
import { TensorError } from '../errors.js';
import type { Loops, Span } from '../loops/loops.js';
import type { HostTensor } from './host-tensor.js';

/** `indices` and `updates` are the two tensors of `rows`. */
export type EffectKind = 'outputs' | 'next' | 'added' | 'indices' | 'updates';

export interface Effect {
  readonly kind: EffectKind;
  /** The name of the output, or of the tensor of the state that it changes. */
  readonly name: string;
  readonly spec: TensorSpec;
}

export interface Computed extends Effect {
  readonly span: Span;
}

/** @throws TensorError TENSOR_BAD_OUTPUT when an effect fits no tensor of the state, or two are on one. */
export function listEffects(
  { outputs = {}, next = {}, added = {}, rows = {} }: Effects,
  state: Specs,
  frozen: ReadonlySet<string>,
): (Effect & { readonly tensor: Tensor })[] {
  const list = [
    ...entries('outputs', outputs),
    ...entries('next', next),
    ...entries('added', added),
    ...Object.entries(rows).flatMap(([name, { indices, updates }]) => [
      effect('indices', name, indices),
      effect('updates', name, updates),
    ]),
  ];
  const written = new Set<string>();
  for (const { kind, name, spec } of list) {
    if (kind === 'outputs') continue;
    const target = state[name];
    if (!target)
      throw badEffect(name, `${kind} of one of the tensors ${Object.keys(state).join(', ')}`, 'its name');
    if (frozen.has(name)) throw badEffect(name, 'only tensors that are not frozen to be written', kind);
    if (kind === 'updates') continue;
    if (written.has(name)) throw badEffect(name, 'one of next, added and rows', 'more than one');
    written.add(name);
    if (kind !== 'indices' && !equal(spec, target)) throw badEffect(name, text(target), text(spec));
  }
  for (const [name, { indices, updates }] of Object.entries(rows))
    checkRowShapes(name, state[name]!, indices, updates);
  return list;
}

const entries = (kind: EffectKind, tensors: Readonly<Record<string, Tensor>>) =>
  Object.entries(tensors).map(([name, tensor]) => effect(kind, name, tensor));

const effect = (kind: EffectKind, name: string, tensor: Tensor) => ({
  kind,
  name,
  tensor,
  spec: { shape: [...tensor.shape], dtype: edgeType(name, tensor.dtype) },
});

function edgeType(name: string, dtype: string): DType {
  if (dtype === 'float32' || dtype === 'int32') return dtype;
  throw new TensorError(
    'TENSOR_UNSUPPORTED_DTYPE',
    `expected output ${name} to be float32 or int32, got ${dtype}: cast it in the program`,
  );
}

function checkRowShapes(name: string, target: TensorSpec, indices: Tensor, updates: Tensor): void {
  const [rows, depth] = indices.shape;
  const fits = indices.dtype === 'int32' && indices.rank === 2 && depth! > 0 && depth! <= target.shape.length;
  if (!fits)
    throw badEffect(
      name,
      `indices of int32 [N, 1 to ${target.shape.length}]`,
      `${indices.dtype} [${indices.shape.join(', ')}]`,
    );
  const wanted: TensorSpec = { shape: [rows!, ...target.shape.slice(depth)], dtype: target.dtype };
  const came: TensorSpec = { shape: updates.shape, dtype: updates.dtype as DType };
  if (!equal(wanted, came)) throw badEffect(name, `updates of ${text(wanted)}`, text(came));
}

const equal = (a: TensorSpec, b: TensorSpec): boolean =>
  a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((dim, i) => dim === b.shape[i]);
const text = ({ dtype, shape }: TensorSpec): string => `${dtype} [${shape.join(', ')}]`;
const badEffect = (name: string, expected: string, came: string) =>
  new TensorError('TENSOR_BAD_OUTPUT', `for ${name} of the state expected ${expected}, got ${came}`);

export const writtenBy = (effects: readonly Effect[]): string[] =>
  effects.filter(({ kind }) => kind !== 'outputs' && kind !== 'updates').map(({ name }) => name);

export const outputsOf = (computed: readonly Computed[]): Buffers =>
  Object.fromEntries(
    computed.flatMap(({ kind, name, span }) => (kind === 'outputs' ? [[name, span.view]] : [])),
  );

/**
 * Makes the effects of a call those of the state.
 * @throws TensorError TENSOR_BAD_OUTPUT when rows lie outside of their tensor; nothing is changed then
 */
export function applyEffects(
  computed: readonly Computed[],
  tensors: Readonly<Record<string, HostTensor>>,
  loops: Loops,
): void {
  const updates = new Map(
    computed.flatMap(({ kind, name, span }) => (kind === 'updates' ? [[name, span.view]] : [])),
  );
  const rows = computed
    .filter(({ kind }) => kind === 'indices')
    .map(({ name, spec, span }) => rowsOf(tensors[name]!, spec.shape, span.view));
  for (const { kind, name, span } of computed) {
    if (kind === 'next') tensors[name]!.replace(span.view);
    if (kind === 'added') addTo(tensors[name]!, span, loops);
  }
  for (const { tensor, places, size } of rows) {
    const from = updates.get(tensor.name)!;
    const to = tensor.write().view;
    for (let row = 0; row < places.length; row++)
      to.set(from.subarray(row * size, (row + 1) * size), places[row]!);
  }
}

function addTo(tensor: HostTensor, from: Span, loops: Loops): void {
  const add = tensor.isZero ? loops.addToZero : loops.add;
  add(tensor.overwrite(), from);
}

/** Where each row of a tensor begins, and how many numbers it has. */
function rowsOf(tensor: HostTensor, [rows, depth]: readonly number[], indices: TypedBuffer) {
  const { name, spec } = tensor;
  const places = new Float64Array(rows!);
  const size = sizeOf(spec.shape.slice(depth));
  for (let row = 0; row < rows!; row++) {
    let place = 0;
    for (let d = 0; d < depth!; d++) {
      const index = indices[row * depth! + d]!;
      if (index < 0 || index >= spec.shape[d]!)
        throw badEffect(
          name,
          `indices below [${spec.shape.slice(0, depth).join(', ')}]`,
          `${index} in row ${row}`,
        );
      place = place * spec.shape[d]! + index;
    }
    places[row] = place * size;
  }
  return { tensor, places, size };
}
