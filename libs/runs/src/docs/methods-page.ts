/** The page of all settings, `METHODS.md`, made from the schemas. */
import { inspect } from 'node:util';
import type { MethodDescription, MethodName, Setting } from '../index.js';
import { warningRules } from '../warnings.js';

const INTRODUCTION = `# Methods and their settings

Made from the schemas by \`npm run docs\`: change those, not this page. On a terminal, \`rlhf-streams methods NAME\`
shows the settings of one method. A path such as \`ppo.klCoef\` is written as \`ppo: { klCoef: 0.05 }\`,
\`scorers[].weight\` as \`scorers: [{ scorer: run:reward, weight: 0.5 }]\`.
What several methods share comes first, then each method with what else it has.`;

const WARNINGS = `## Metrics that warn

A step whose metric passes its threshold publishes \`run.warning\`, and the run goes on. The same metric warns again once it has
come back and passes again. Warnings are on the screen of \`rlhf-streams run\`, in \`GET /v1/runs/RUN\` and in the stream of its
events. \`stopWhen\` ends a run by a metric.`;

/** Where the formulas of a method stand. Its spec and its step have its name. */
const MATHEMATICS: Readonly<Record<MethodName, readonly string[]>> = {
  sft: ['alignment/src/sft.ts'],
  reward: ['alignment/src/reward-model.ts'],
  ppo: ['alignment/src/ppo.ts', 'alignment/src/rewards.ts', 'alignment/src/gae.ts'],
  trpo: ['alignment/src/trpo.ts', 'alignment/src/rewards.ts', 'alignment/src/gae.ts'],
  reinforce: ['alignment/src/reinforce.ts', 'alignment/src/rewards.ts'],
  grpo: ['alignment/src/grpo.ts', 'alignment/src/ppo.ts', 'alignment/src/kl.ts'],
  dpo: ['alignment/src/dpo.ts'],
  pro: ['alignment/src/pro.ts'],
  kto: ['alignment/src/kto.ts'],
  onlineDpo: ['alignment/src/online-dpo.ts', 'alignment/src/dpo.ts'],
  sample: [],
  evaluate: ['evaluation/src/choices.ts'],
};

/** Fewer settings than this, though several methods share them, stand with each of those methods. */
const LEAST_SHARED = 3;

/** Markdown: what several methods share once, then each method with its example and its own. */
export function methodsPage(methods: readonly MethodDescription[]): string {
  const everyone = methods.map(({ name }) => name).join(' ');
  const shared = new Map(
    [...settingsByOwners(methods)]
      .filter(([owners, settings]) => owners.includes(' ') && settings.length >= LEAST_SHARED)
      .sort(([a], [b]) => b.split(' ').length - a.split(' ').length),
  );
  const told = new Set([...shared.values()].flat().map(identity));
  return [
    INTRODUCTION,
    ...[...shared].map(
      ([owners, settings]) =>
        `## ${owners === everyone ? 'Every run' : listed(owners.split(' '))}\n\n${table(settings)}`,
    ),
    ...methods.map((method) =>
      chapterOf(
        method,
        method.settings.filter((setting) => !told.has(identity(setting))),
      ),
    ),
    `${WARNINGS}\n\n${warningsTable()}`,
  ]
    .join('\n\n')
    .concat('\n');
}

/** Settings by the methods that have them just so, their names joined by spaces. */
function settingsByOwners(methods: readonly MethodDescription[]): Map<string, Setting[]> {
  const owners = new Map<string, { readonly setting: Setting; readonly names: string[] }>();
  for (const { name, settings } of methods) {
    for (const setting of settings) {
      const key = identity(setting);
      const known = owners.get(key) ?? { setting, names: [] };
      owners.set(key, known);
      known.names.push(name);
    }
  }
  const groups = new Map<string, Setting[]>();
  for (const { setting, names } of owners.values()) {
    const key = names.join(' ');
    groups.set(key, [...(groups.get(key) ?? []), setting]);
  }
  return groups;
}

/** Settings with the same identity are documented alike, so that methods can share one entry. */
const identity = (setting: Setting): string => JSON.stringify(setting);

const chapterOf = (
  { name, title, description, source, example }: MethodDescription,
  own: readonly Setting[],
) =>
  `## ${name}: ${title}

${description} Source: ${source.replaceAll(/https:\/\/[^\s;]+/g, '<$&>')}.

${sourcesOf(name)}

\`\`\`yaml
${example}\`\`\`

${table(own)}`;

/** The files that a method is: relative to the page, which is in `libs/runs`. */
function sourcesOf(name: MethodName): string {
  const file = `src/methods/${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.ts`;
  const link = (path: string) => `[\`${path.slice(path.lastIndexOf('/') + 1)}\`](${path})`;
  const mathematics = MATHEMATICS[name].map((path) => link(`../${path}`)).join(', ');
  return [
    `Spec: ${link(file)}`,
    ...(mathematics ? [`mathematics: ${mathematics}`] : []),
    `step: ${link(`../training/${file}`)}.`,
  ].join('; ');
}

const warningsTable = (): string =>
  markdownTable([
    ['metric', 'warns', 'meaning'],
    ...warningRules.map(({ metric, direction, threshold, sentence }) => [
      `\`${metric}\``,
      `${direction} ${typeof threshold === 'number' ? threshold : `\`${threshold}\``}`,
      sentence,
    ]),
  ]);

function table(settings: readonly Setting[]): string {
  const rows = settings
    .filter(({ isGroup, default: value }) => !isGroup || value === undefined)
    .map(({ path, type, required, default: value, description }) => [
      `\`${path}\``,
      type,
      required
        ? 'required'
        : value === undefined
          ? ''
          : `\`${typeof value === 'string' && !value.includes('\n') ? value : inspect(value)}\``,
      description,
    ]);
  return markdownTable([['setting', 'type', 'default', 'meaning'], ...rows]);
}

/** The first row is the head. */
const markdownTable = ([head, ...rows]: readonly (readonly string[])[]): string =>
  [head!, head!.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');

const listed = (names: readonly string[]): string => `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

/** Where the page is. */
export const METHODS_PAGE = new URL('../../METHODS.md', import.meta.url);
