import { type Buffers, checkInputs, type Frozen, type Specs, specOf, type TypedBuffer } from '../engine.js';

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
    use(state, { hash, values }) {
      checkInputs(Object.fromEntries(Object.keys(values).map((name) => [name, specOf(state, name)])), values);
      const known = kept.get(hash) ?? { buffers: {}, users: 0 };
      kept.set(hash, known);
      known.users++;
      for (const [name, buffer] of Object.entries(values)) known.buffers[name] ??= keep(buffer);
      return Object.fromEntries(Object.keys(values).map((name) => [name, known.buffers[name]!]));
    },
    leave({ hash }) {
      const known = kept.get(hash)!;
      known.users--;
      return known.users === 0 && kept.delete(hash);
    },
  };
}
