/** What a run trains: models by role, of which some may share a trunk or a base, as tensors with names of their own. */
import { type ModelConfig, tensorsOf } from '@rlhf-streams/model';
import type { TrainedModel } from '@rlhf-streams/runs';
import { float32, type Specs } from '@rlhf-streams/tensor';

/** What a trained model is for. */
export type Role = TrainedModel['role'];

/** A model is a trunk with a head; the head says whether it gives logits or one number. */
export type Models = { readonly [R in Role]?: ModelConfig };

export interface LayoutTensor {
  readonly spec: Specs[string];
  /** Whether weight decay applies to it. */
  readonly decay: boolean;
  /** It is read, and never changed. */
  readonly frozen: boolean;
}

export interface Layout {
  readonly models: Models;
  /** Every tensor once, in the order of a checkpoint. */
  readonly tensors: ReadonlyMap<string, LayoutTensor>;
  /** Shapes of what is trained, in the order of a checkpoint. */
  readonly trained: Specs;
  /** The tensors of a role's model: the architecture's names, each with the name in this layout. */
  namesOf(role: Role): ReadonlyMap<string, string>;
}

export interface Sharing {
  /** Roles that have no trunk of their own, each with the role whose trunk it has. Default: none. */
  readonly trunks?: { readonly [R in Role]?: Role };
  /** Names of the bases that adapters stand on, where they are not all on one. Default: {@link BASE}. */
  readonly bases?: { readonly [R in Role]?: string };
}

/** What the frozen tensors of adapters are named by, whose base they share. */
export const BASE = 'base';

/** The trunks that trained models share. */
export const sharingOf = (trains: readonly TrainedModel[]): Sharing => ({
  trunks: Object.fromEntries(trains.flatMap(({ role, trunk }) => (trunk ? [[role, trunk]] : []))),
});

/**
 * A tensor is named `role.tensor`: that of a shared trunk by the role whose trunk it is, that of a head always by its own.
 * Of a model with an adapter those of the adapter are, and the frozen ones are `base.tensor`, once for all roles on the base.
 *
 * @example
 * layoutOf({ policy, value: withScalarHead(policy) }, { trunks: { value: 'policy' } }); // one trunk with two heads
 */
export function layoutOf(models: Models, { trunks = {}, bases = {} }: Sharing = {}): Layout {
  const tensors = new Map<string, LayoutTensor>();
  const names = new Map<Role, Map<string, string>>();
  for (const [role, model] of Object.entries(models) as [Role, ModelConfig][]) {
    const named = [...tensorsOf(model)].map(([name, { shape, decay, ofHead, frozen }]) => {
      const owner = frozen ? (bases[role] ?? BASE) : ofHead ? role : (trunks[role] ?? role);
      const full = `${owner}.${name}`;
      tensors.set(full, { spec: float32(...shape), decay, frozen });
      return [name, full] as const;
    });
    names.set(role, new Map(named));
  }
  return {
    models,
    tensors,
    trained: Object.fromEntries(
      [...tensors].flatMap(([name, { spec, frozen }]) => (frozen ? [] : [[name, spec] as const])),
    ),
    namesOf: (role) => names.get(role)!,
  };
}
