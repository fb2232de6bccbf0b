/** The frozen weights under the adapters of a run. */
import { createHash } from 'node:crypto';
import { realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { frozenWeights, readFrozen, tensorsOf } from '@rlhf-streams/model';
import type { Buffers, Frozen } from '@rlhf-streams/tensor';
import { BASE, type Layout, type Role } from '../trainer/layout.js';
import type { Start } from './models.js';

export interface Bases {
  /** The name of each role's base in the layout. */
  readonly names: { readonly [R in Role]?: string };
  /** The weights of a role's base. */
  of(role: Role): Frozen | undefined;
  /** The base that the engine maps, or keeps once: that of the run's first model. Undefined where it has no adapter. */
  mapped(layout: Layout): Frozen | undefined;
  /** Weights of further bases, as of a value model from elsewhere, which are copied into the engine. */
  loaded(layout: Layout): Promise<Buffers>;
}

export async function readBases(starts: readonly Start[]): Promise<Bases> {
  const adapted = starts.filter(({ config }) => config.adapter);
  const hashes = await Promise.all(
    adapted.map(({ folders }) => folders.hash ?? fileHash(join(folders.base, 'model.safetensors'))),
  );
  const byHash = new Map<string, Frozen>();
  for (const [i, { folders, described }] of adapted.entries()) {
    const hash = hashes[i]!;
    if (!byHash.has(hash)) byHash.set(hash, await frozenWeights(folders.base, described.base, hash));
  }
  const [first] = hashes;
  const frozenOf = new Map(adapted.map(({ trained }, i) => [trained.role, byHash.get(hashes[i]!)!]));
  const isFurther = (role: Role) => frozenOf.has(role) && frozenOf.get(role)!.hash !== first;
  const nameOf = (role: Role) => (isFurther(role) ? `${role}.${BASE}` : BASE);
  return {
    names: Object.fromEntries(adapted.map(({ trained: { role } }) => [role, nameOf(role)])),
    of: (role) => frozenOf.get(role),
    mapped(layout) {
      const frozen = first === undefined ? undefined : byHash.get(first);
      if (!frozen) return undefined;
      const inLayout = <T>(byName: Readonly<Record<string, T>>): Record<string, T> =>
        Object.fromEntries(
          Object.entries(byName).flatMap(([name, value]) => {
            const full = `${BASE}.${name}`;
            return layout.tensors.has(full) ? [[full, value] as const] : [];
          }),
        );
      return 'values' in frozen
        ? { hash: frozen.hash, values: inLayout(frozen.values) }
        : { hash: frozen.hash, stored: { ...frozen.stored, offsets: inLayout(frozen.stored.offsets) } };
    },
    async loaded(layout) {
      const buffers: Record<string, Float32Array> = {};
      for (const { trained, config } of adapted.filter(({ trained }) => isFurther(trained.role))) {
        const { role } = trained;
        const shapes = [...tensorsOf(config)].flatMap(([name, { shape, frozen }]) =>
          frozen ? [[name, shape] as const] : [],
        );
        for (const [name, { data }] of await readFrozen(frozenOf.get(role)!, new Map(shapes)))
          buffers[layout.namesOf(role).get(name)!] = data;
      }
      return buffers;
    },
  };
}

async function fileHash(file: string): Promise<string> {
  const path = await realpath(file);
  const { size, mtimeMs } = await stat(path);
  return createHash('sha256')
    .update(JSON.stringify([path, size, mtimeMs]))
    .digest('hex');
}
