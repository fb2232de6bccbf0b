/** What a run trains: models by role, of which some may share a trunk or stand still, as tensors with names of their own. */
import { architectureOf, type ModelConfig } from '@rlhf-streams/model';
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
  /** Tensors that stand still, by their name in the layout. Default: none. */
  readonly frozen?: (name: string) => boolean;
}

/** The trunks that trained models share. */
export const sharingOf = (trains: readonly TrainedModel[]): Sharing => ({
  trunks: Object.fromEntries(trains.flatMap(({ role, trunk }) => (trunk ? [[role, trunk]] : []))),
});

/**
 * A tensor is named `role.tensor`: that of a shared trunk by the role whose trunk it is, that of a head always by its own.
 *
 * @example
 * layoutOf({ policy, value: withScalarHead(policy) }, { trunks: { value: 'policy' } }); // one trunk with two heads
 */
export function layoutOf(models: Models, { trunks = {}, frozen = () => false }: Sharing = {}): Layout {
  const tensors = new Map<string, LayoutTensor>();
  const names = new Map<Role, Map<string, string>>();
  for (const [role, model] of Object.entries(models) as [Role, ModelConfig][]) {
    const learned = [...architectureOf(model).tensors(model)];
    const named = learned.map(([name, { shape, decay, ofHead }]) => {
      const full = `${ofHead ? role : (trunks[role] ?? role)}.${name}`;
      tensors.set(full, { spec: float32(...shape), decay, frozen: frozen(full) });
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
