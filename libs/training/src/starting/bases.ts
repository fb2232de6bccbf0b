/** The frozen weights under the adapters of a run. */
import { createHash } from 'node:crypto';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type FrozenFile, frozenWeights, readFrozen, tensorsOf, type WeightCache } from '@rlhf-streams/model';
import type { Buffers, Frozen } from '@rlhf-streams/tensor';
import { BASE, type Layout, type Role } from '../trainer/layout.js';
import type { Start } from './models.js';

export interface Bases {
  /** The name of each role's base in the layout. */
  readonly names: { readonly [R in Role]?: string };
  /** The weights of a role's base. */
  of(role: Role): FrozenFile | undefined;
  /** The base that the engine maps, or keeps once: that of the run's first model. Undefined where it has no adapter. */
  mapped(layout: Layout): Frozen | undefined;
  /** Weights of further bases, as of a value model from elsewhere, which are copied into the engine. */
  loaded(layout: Layout): Promise<Buffers>;
}

/** @param cache where bases are decoded to that are not stored in float32. Default: a folder of the user's own */
export async function readBases(starts: readonly Start[], cache?: WeightCache): Promise<Bases> {
  const adapted = starts.filter(({ config }) => config.adapter);
  const hashes = await Promise.all(adapted.map(({ folders }) => folders.hash ?? filesHash(folders.base)));
  const byHash = new Map<string, FrozenFile>();
  for (const [i, { folders, described }] of adapted.entries()) {
    const hash = hashes[i]!;
    if (!byHash.has(hash)) byHash.set(hash, await frozenWeights(folders.base, described.base, hash, cache));
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
      const { file, offsets } = frozen.stored;
      const inLayout = Object.entries(offsets)
        .map(([name, offset]) => [`${BASE}.${name}`, offset] as const)
        .filter(([name]) => layout.tensors.has(name));
      return { hash: frozen.hash, stored: { file, offsets: Object.fromEntries(inLayout) } };
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

/** Names weights by the files that they lie in, with their sizes and times. */
async function filesHash(dir: string): Promise<string> {
  const folder = await realpath(dir);
  const names = (await readdir(folder)).filter((name) => name.includes('.safetensors')).sort();
  const files = names.map(async (name) => {
    const { size, mtimeMs } = await stat(join(folder, name));
    return [name, size, mtimeMs];
  });
  return createHash('sha256')
    .update(JSON.stringify([folder, await Promise.all(files)]))
    .digest('hex');
}
