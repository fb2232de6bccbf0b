import { closeSync, openSync, readSync } from 'node:fs';
import {
  allocate,
  type Buffers,
  checkInputs,
  type Frozen,
  type Specs,
  type StoredTensors,
  specOf,
  type TensorSpec,
  type TypedBuffer,
} from '../engine.js';
import { TensorError } from '../errors.js';

/** Frozen tensors of an engine, each kept once for all workspaces that have it. */
export interface FrozenStore {
  /** The tensors of `frozen` by name. To be given back by `leave`. */
  use(state: Specs, frozen: Frozen): Buffers;
  /** @returns whether nobody has it any more */
  leave(frozen: Frozen): boolean;
}

/** @param keep a buffer as the engine keeps it */
export function createFrozenStore(keep: (buffer: TypedBuffer) => TypedBuffer): FrozenStore {
  const kept = new Map<string, { readonly buffers: Record<string, TypedBuffer>; users: number }>();
  return {
    use(state, frozen) {
      const { hash } = frozen;
      const names = namesOf(frozen);
      const specs = frozenSpecs(state, frozen);
      const known = kept.get(hash) ?? { buffers: {}, users: 0 };
      const missing = Object.fromEntries(
        names.filter((name) => !known.buffers[name]).map((name) => [name, specs[name]!]),
      );
      const values = 'values' in frozen ? frozen.values : readStored(frozen.stored, missing);
      kept.set(hash, known);
      known.users++;
      for (const name of Object.keys(missing)) known.buffers[name] = keep(values[name]!);
      return Object.fromEntries(names.map((name) => [name, known.buffers[name]!]));
    },
    leave({ hash }) {
      const known = kept.get(hash)!;
      known.users--;
      return known.users === 0 && kept.delete(hash);
    },
  };
}

export const namesOf = (frozen: Frozen): string[] =>
  Object.keys('values' in frozen ? frozen.values : frozen.stored.offsets);

/** The frozen tensors of a state. @throws TensorError TENSOR_BAD_INPUT when it has none of a name, or the values are of another shape */
export function frozenSpecs(state: Specs, frozen: Frozen): Specs {
  const specs = Object.fromEntries(namesOf(frozen).map((name) => [name, specOf(state, name)]));
  if ('values' in frozen) checkInputs(specs, frozen.values);
  return specs;
}

/**
 * @param make memory for a tensor; default: `allocate`
 * @throws TensorError TENSOR_BAD_INPUT when the file ends before a tensor does; errors of the file system as they are
 */
export function readStored(
  { file, offsets }: StoredTensors,
  specs: Specs,
  make: (spec: TensorSpec) => TypedBuffer = allocate,
): Buffers {
  const descriptor = openSync(file, 'r');
  try {
    return Object.fromEntries(
      Object.entries(specs).map(([name, spec]) => {
        const buffer = make(spec);
        const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
        // One call reads at most 2 GiB.
        for (let done = 0; done < bytes.length; ) {
          const length = Math.min(bytes.length - done, 2 ** 30);
          const read = readSync(descriptor, bytes, done, length, offsets[name]! + done);
          if (read === 0) throw endsBefore({ file, offsets }, name);
          done += read;
        }
        return [name, buffer];
      }),
    );
  } finally {
    closeSync(descriptor);
  }
}

export const endsBefore = ({ file, offsets }: StoredTensors, name: string): TensorError =>
  new TensorError(
    'TENSOR_BAD_INPUT',
    `expected tensor ${name} at byte ${offsets[name]} of ${file}, which ends before the end of it: fetch the file again`,
  );
