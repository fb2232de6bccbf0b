/** The model that a run trains, from the one that it starts with and its `peft`. */
import { architectureOf } from '../architectures/index.js';
import { ModelError } from '../errors.js';
import { type Adapter, type ModelConfig, withScalarHead } from '../model-config.js';
import { withAdapter } from './peft-config.js';
import { ALL_LINEAR, headModules, type TargetModules } from './targets.js';

/** An adapter to train, in PEFT's terms. What is not given is as the adapter has it that training goes on with. */
export interface Peft {
  readonly r?: number | undefined;
  readonly alpha?: number | undefined;
  readonly targetModules?: TargetModules | undefined;
  readonly rslora?: boolean | undefined;
  readonly modulesToSave?: readonly string[] | undefined;
}

export interface Training {
  /** What its head is to give: logits of the next token, or one number. */
  readonly head: 'language' | 'scalar';
  /** Absent where all weights are trained. */
  readonly peft?: Peft | undefined;
  /** Whether it is the model that the run publishes; others, such as value models, go on from whatever they start with. */
  readonly isPublished: boolean;
}

/** As TRL has them. Twice the rank is its alpha of 32 at its rank of 16, and the same scale at any other. */
const RANK = 16;
const ALPHA_BY_RANK = 2;

/**
 * The model as it is trained: with an adapter where the run has `peft`, a new one or the one that it starts with, and with
 * all weights its own where it has not.
 * @throws ModelError MODEL_ADAPTER_CONFIG where `peft` names what the model has not, or is not that of the adapter which the
 *   model has already
 */
export function trainedModel(start: ModelConfig, { head, peft, isPublished }: Training): ModelConfig {
  const { adapter, ...bare } = head === 'scalar' ? withScalarHead(start) : start;
  if (!peft) {
    if (adapter && isPublished) {
      throw new ModelError(
        'MODEL_ADAPTER_CONFIG',
        `expected peft, as the model is an adapter (${inWords(adapter)}): peft: {} trains it further; to train all weights, ${MERGE}`,
      );
    }
    return bare;
  }
  if (!adapter) return withAdapter(bare, settingsOf(bare, peft), 'peft');
  if (isPublished) expectSame(start, adapter, peft);
  return { ...bare, adapter: { ...adapter, modulesToSave: withHead(bare, adapter.modulesToSave) } };
}

function settingsOf(bare: ModelConfig, peft: Peft): Parameters<typeof withAdapter>[1] {
  const rank = peft.r ?? RANK;
  return {
    rank,
    alpha: peft.alpha ?? ALPHA_BY_RANK * rank,
    rslora: peft.rslora ?? false,
    targetModules: peft.targetModules ?? ALL_LINEAR,
    modulesToSave: withHead(bare, peft.modulesToSave ?? []),
  };
}

/**
 * The modules that are learned in full, with the head of a scalar model, which is new or learned on. A policy's output matrix
 * is not among those of a model without one.
 */
function withHead(config: ModelConfig, modules: readonly string[]): string[] {
  if (config.head.kind === 'language') return [...modules];
  const heads = headModules(config);
  const ofPolicy = headModules({ ...config, head: { kind: 'language' }, tieWordEmbeddings: false });
  const kept = modules.filter((module) => !ofPolicy.includes(module) && !heads.includes(module));
  return [...kept, ...heads];
}

const MERGE = 'merge it into its base with `rlhf-streams export --merge`, and start from that';

/** @throws ModelError MODEL_ADAPTER_CONFIG where what is given of `peft` is not the adapter's */
function expectSame(start: ModelConfig, adapter: Adapter, peft: Peft): void {
  const { modulesToSave } = peft;
  const asked = withAdapter(
    start,
    {
      rank: peft.r ?? adapter.rank,
      alpha: peft.alpha ?? adapter.alpha,
      rslora: peft.rslora ?? adapter.rslora,
      targetModules: peft.targetModules ?? targetsOf(start, adapter),
      modulesToSave: modulesToSave ? withHead(start, modulesToSave) : adapter.modulesToSave,
    },
    'peft',
  ).adapter!;
  if (key(asked) === key(adapter)) return;
  throw new ModelError(
    'MODEL_ADAPTER_CONFIG',
    `peft: expected that of the adapter which training goes on with (${inWords(adapter)}), got ${inWords(asked)}: leave it as it was, with peft: {}; for another adapter, ${MERGE}`,
  );
}

/** Names that match the adapter's modules and no others. */
const targetsOf = (config: ModelConfig, { targetModules }: Adapter): string[] => {
  const { storedName } = architectureOf(config);
  return targetModules.map((name) => storedName(`${name}.weight`).replace(/\.weight$/, ''));
};

const key = ({ targetModules, modulesToSave, ...scale }: Adapter): string =>
  JSON.stringify([scale.rank, scale.alpha, scale.rslora, targetModules, [...modulesToSave].sort()]);

const inWords = ({ rank, alpha, rslora, targetModules, modulesToSave }: Adapter): string =>
  [
    `r ${rank}`,
    `alpha ${alpha}`,
    ...(rslora ? ['rslora'] : []),
    `on ${targetModules.length} modules: ${ends(targetModules)}`,
    ...(modulesToSave.length > 0 ? [`with ${modulesToSave.join(', ')}`] : []),
  ].join(', ');

const ends = (modules: readonly string[]): string =>
  [...new Set(modules.map((name) => name.slice(name.lastIndexOf('.') + 1)))].join(', ');
