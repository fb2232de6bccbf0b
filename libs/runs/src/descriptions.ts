/** The methods as documentation shows them, made from the schemas of their runs. */
import { inspect } from 'node:util';
import { type MethodName, methodNames, methods } from './methods/index.js';
import { type Setting, settingsOf } from './settings.js';

export interface MethodDescription {
  readonly name: MethodName;
  readonly title: string;
  /** One sentence. */
  readonly description: string;
  /** Papers, with their addresses. */
  readonly source: string;
  /** The smallest run of the method, as YAML: only what is required. */
  readonly example: string;
  /** Required settings first, in the order of the example. The shape of a new model stands under the first setting that takes one. */
  readonly settings: readonly Setting[];
}

/** Every method, in the order of the registry. */
export const methodDescriptions = (): MethodDescription[] =>
  methodNames.map((name) => {
    const schema = methods[name].config;
    const { title, description, source, examples } = schema.meta() as {
      title: string;
      description: string;
      source: string;
      examples: [object];
    };
    const settings = once(settingsOf(schema));
    return {
      name,
      title,
      description,
      source,
      example: yamlOf(examples[0]),
      settings: [
        ...Object.keys(examples[0]).map((key) => settings.find(({ path }) => path === key)!),
        ...settings.filter(({ path }) => !(path in examples[0])),
      ],
    };
  });

/** Keeps the parts of a shape, such as that of a new model, under the first setting that has it. */
function once(settings: readonly Setting[]): Setting[] {
  const first = new Map<string, string>();
  return settings.filter(({ path, partOf }) => {
    if (partOf === undefined) return true;
    const parent = path.slice(0, path.lastIndexOf('.'));
    if (!first.has(partOf)) first.set(partOf, parent);
    return first.get(partOf) === parent;
  });
}

/** One line per key. Objects and lists are printed as JavaScript, which is YAML too. */
const yamlOf = (example: object): string =>
  Object.entries(example)
    .map(([key, value]) => `${key}: ${typeof value === 'string' ? value : inspect(value)}\n`)
    .join('');
