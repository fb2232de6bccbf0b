/** Which modules of a model an adapter is on, by names that are matched as PEFT matches them. */
import { architectureOf } from '../architectures/index.js';
import { ModelError } from '../errors.js';
import type { Adapter, ModelConfig } from '../model-config.js';

/** What stands for all linear maps of the trunk. */
export const ALL_LINEAR = 'all-linear';

/** Names of modules, or ends of names; as one string a regular expression for a whole name, or {@link ALL_LINEAR}. */
export type TargetModules = readonly string[] | string;

/**
 * The linear maps that `targets` name, by the names of the architecture.
 * @param saved modules that are learned in full, which have no adapter
 * @throws ModelError MODEL_ADAPTER_CONFIG where a target matches nothing, which names what there is
 */
export function targetedModules(
  config: ModelConfig,
  targets: TargetModules,
  saved: readonly string[],
  source: string,
): string[] {
  const modules = [...architectureOf(config).linears(config).keys()]
    .map((name) => ({ name, stored: storedModule(config, name) }))
    .filter(({ stored }) => !saved.some((one) => within(stored, (module) => endsWith(module, one))));
  const unknown = (what: string) =>
    new ModelError(
      'MODEL_ADAPTER_CONFIG',
      `${source}: expected targetModules to name linear maps of the model, which are ${endings(modules).join(', ')}; got ${what}, which matches none`,
    );
  if (targets === ALL_LINEAR) return modules.map(({ name }) => name);
  if (typeof targets === 'string') {
    const pattern = regularExpression(targets, source);
    const found = modules.filter(({ stored }) => pattern.test(stored));
    if (found.length === 0) throw unknown(JSON.stringify(targets));
    return found.map(({ name }) => name);
  }
  for (const target of targets)
    if (!modules.some(({ stored }) => endsWith(stored, target))) throw unknown(JSON.stringify(target));
  if (targets.length === 0) throw unknown('an empty list');
  return modules
    .filter(({ stored }) => targets.some((target) => endsWith(stored, target)))
    .map(({ name }) => name);
}

/**
 * The targets in as few words as say them, for `target_modules`: `q_proj` where each layer's has an adapter, else the full
 * names.
 */
export function shortTargets(config: ModelConfig, { targetModules }: Adapter): string[] {
  const all = [...architectureOf(config).linears(config).keys()].map((name) => storedModule(config, name));
  const targeted = targetModules.map((name) => storedModule(config, name));
  const lasts = [...new Set(targeted.map(lastWord))];
  const said = all.filter((module) => lasts.includes(lastWord(module)));
  return said.length === targeted.length ? lasts : targeted;
}

/** Whether a tensor of the model belongs to a module that the adapter learns in full. */
export const isSaved = (
  config: ModelConfig,
  { modulesToSave }: Pick<Adapter, 'modulesToSave'>,
  name: string,
) =>
  modulesToSave.length > 0 &&
  within(moduleOf(architectureOf(config).storedName(name)), (module) =>
    modulesToSave.some((saved) => module.endsWith(saved)),
  );

/**
 * Those of `modules` that the model has.
 * @throws ModelError MODEL_ADAPTER_CONFIG where one is tied to another: PEFT would train a copy, and leave the other
 */
export function savedModules(config: ModelConfig, modules: readonly string[], source: string): string[] {
  const { tensors, copies } = architectureOf(config);
  const matches = (module: string) => (name: string) => isSaved(config, { modulesToSave: [module] }, name);
  for (const [copy, original] of copies(config)) {
    const module = modules.find((one) => [copy, original].some(matches(one)));
    if (module !== undefined)
      throw new ModelError(
        'MODEL_ADAPTER_CONFIG',
        `${source}: expected modulesToSave without ${module}: the model's output matrix is its token embedding, and would not be afterwards`,
      );
  }
  return modules.filter((module) => [...tensors(config).keys()].some(matches(module)));
}

/** The modules of a model's head, by the names that PEFT saves them under. */
export const headModules = (config: ModelConfig): string[] => {
  const { tensors, storedName } = architectureOf(config);
  const names = [...tensors(config)].flatMap(([name, { ofHead }]) => (ofHead ? [name] : []));
  return [...new Set(names.map((name) => moduleOf(storedName(name))))];
};

/** The last words of the modules' names, each once, by which most people name them. */
const endings = (modules: readonly { readonly stored: string }[]): string[] => [
  ...new Set(modules.map(({ stored }) => lastWord(stored))),
];

const endsWith = (module: string, target: string) => module === target || module.endsWith(`.${target}`);
const lastWord = (module: string) => module.slice(module.lastIndexOf('.') + 1);

/** The name under which transformers has a linear map. */
const storedModule = (config: ModelConfig, name: string): string =>
  moduleOf(architectureOf(config).storedName(`${name}.weight`));

const moduleOf = (tensor: string): string => tensor.replace(/\.[^.]*$/, '');

/** Whether a module, or one that it is a part of, is as `is` says. */
function within(module: string, is: (module: string) => boolean): boolean {
  const words = module.split('.');
  return words.some((_, i) => is(words.slice(0, i + 1).join('.')));
}

function regularExpression(text: string, source: string): RegExp {
  try {
    return new RegExp(`^(?:${text})$`);
  } catch (cause) {
    throw new ModelError(
      'MODEL_ADAPTER_CONFIG',
      `${source}: expected target_modules to be a regular expression, got ${JSON.stringify(text)}`,
      { cause },
    );
  }
}
