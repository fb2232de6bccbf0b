/** The page of all settings, `infra/SETTINGS.md`, made from their schemas. */
import { coordinator } from '@rlhf-streams/coordinator';
import { gateway } from '@rlhf-streams/gateway';
import { optimizer } from '@rlhf-streams/optimizer';
import { policy } from '@rlhf-streams/policy';
import { reference } from '@rlhf-streams/reference';
import { reward } from '@rlhf-streams/reward';
import {
  artifactSettings,
  dataSettings,
  describeSettings,
  kafkaSettings,
  logSettings,
  runtimeSettings,
  type SettingDescription,
  topicSettings,
} from '@rlhf-streams/service';
import { z } from 'zod';

export const SETTINGS_PAGE = new URL('../../../../infra/SETTINGS.md', import.meta.url);

const INTRODUCTION = `# Settings

Made from the services' own schemas by \`npm run docs\`: change those, not this page. Services are set by environment
variables; an empty one counts as absent. With a wrong one, a service does not start: it names each mistake, what was
expected and what came, and exits with code 2. The coordinator reads settings of policy and optimizer too: where they
are in its process, it estimates by those what a run needs of memory. \`docker compose\` has a few variables of its own:
[docker/README.md](docker/README.md).`;

/** What every service reads, by concern. */
const SHARED: readonly { readonly title: string; readonly note?: string; readonly schema: z.ZodObject }[] = [
  { title: 'Every service', schema: z.object({ ...runtimeSettings.shape, ...dataSettings.shape }) },
  { title: 'The log', schema: z.object({ ...logSettings.shape, ...kafkaSettings.shape }) },
  {
    title: 'Topics',
    note: 'A service that starts creates topics that are missing and adds partitions; `rlhf-streams topics apply` changes the rest.',
    schema: topicSettings,
  },
  {
    title: 'Artifacts',
    note: "Credentials are found as by every AWS SDK: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, shared files, a container's or an instance's role.",
    schema: artifactSettings,
  },
];

/** What each service reads besides. */
const services: readonly { readonly name: string; readonly settings: z.ZodObject }[] = [
  gateway,
  coordinator,
  policy,
  reward,
  reference,
  optimizer,
];

/**
 * Markdown: settings of every service by concern, then those of single services, each with its consequence and
 * default.
 */
export function settingsPage(): string {
  const shared = SHARED.map(({ title, note, schema }) =>
    [`## ${title}`, ...(note === undefined ? [] : [note]), table(describeSettings(schema))].join('\n\n'),
  );
  const own = [...settingsByOwners()].map(([owners, settings]) => `## ${owners}\n\n${table(settings)}`);
  return [INTRODUCTION, ...shared, ...own].join('\n\n').concat('\n');
}

/** Settings by the services that have them just so, as in `policy, optimizer`, but for those that every service has. */
function settingsByOwners(): Map<string, SettingDescription[]> {
  const shared = new Set(SHARED.flatMap(({ schema }) => describeSettings(schema)).map(({ name }) => name));
  const owners = new Map<string, { readonly setting: SettingDescription; readonly names: string[] }>();
  for (const { name, settings } of services) {
    for (const setting of describeSettings(settings).filter(({ name }) => !shared.has(name))) {
      const key = JSON.stringify(setting);
      const known = owners.get(key) ?? { setting, names: [] };
      owners.set(key, known);
      known.names.push(name);
    }
  }
  const groups = new Map<string, SettingDescription[]>();
  for (const { setting, names } of owners.values()) {
    const key = names.join(', ');
    groups.set(key, [...(groups.get(key) ?? []), setting]);
  }
  return groups;
}

const table = (settings: readonly SettingDescription[]): string =>
  [
    '| setting | default | what it is, and what follows from it |',
    '|---|---|---|',
    ...settings.map(row),
  ].join('\n');

const row = ({ name, description, required, default: fallback }: SettingDescription): string =>
  `| \`${name}\` | ${required ? 'required' : cell(fallback ?? 'none')} | ${cell(description)} |`;

const cell = (text: string): string => (text === '' ? 'empty' : text.replaceAll('|', '\\|'));
