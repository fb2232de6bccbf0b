/** What methods there are, and what a run of each may say, from the schemas of their runs. */
import { inspect } from 'node:util';
import { nearest } from '@rlhf-streams/events';
import { type MethodDescription, methodDescriptions, type Setting } from '@rlhf-streams/runs';
import { Help } from 'commander';
import color from 'picocolors';
import { CliError } from '../errors.js';

const WIDTHS = { least: 80, most: 120 };

/**
 * All methods, or with a name every setting of one.
 * @throws CliError CLI_METHOD_UNKNOWN naming those there are.
 */
export function describeMethods(name: string | undefined, columns: number | undefined): string {
  const help = new Help();
  help.minWidthToWrap = 20;
  help.helpWidth = Math.min(Math.max(columns ?? 0, WIDTHS.least), WIDTHS.most);
  return name === undefined ? overview(methodDescriptions(), help) : chapter(methodCalled(name), help);
}

/**
 * A list of all methods, or with a name that one: title, source, example and every setting with its type and default.
 * @throws CliError CLI_METHOD_UNKNOWN naming those there are.
 */
export const methodsAsJson = (name: string | undefined): string =>
  JSON.stringify(name === undefined ? methodDescriptions() : methodCalled(name), undefined, 2);

function methodCalled(name: string): MethodDescription {
  const all = methodDescriptions();
  const method = all.find((method) => method.name === name);
  if (method) return method;
  const names = all.map(({ name }) => name);
  const meant = nearest(name, names);
  throw new CliError(
    'CLI_METHOD_UNKNOWN',
    `expected one of ${names.join(', ')}, got ${name}${meant ? `: did you mean ${meant}?` : ''}`,
  );
}

const overview = (all: readonly MethodDescription[], help: Help): string =>
  [
    ...items(
      all.map(({ name, title, description, source }) => ({
        term: name,
        lines: [`${title}. ${description}`, color.dim(source)],
      })),
      help,
    ),
    'rlhf-streams methods NAME shows the settings of one, and an example.',
  ].join('\n\n');

const chapter = ({ name, title, description, source, example, settings }: MethodDescription, help: Help) => {
  const width = help.helpWidth!;
  const told = settings.filter(({ isGroup, default: value }) => !isGroup || value === undefined);
  const entries = told.map((setting) => ({ ...setting, term: setting.path, lines: linesOf(setting) }));
  const lines = items(entries, help);
  const required = entries.filter(({ required }) => required).length;
  return [
    help.boxWrap(`${color.bold(name)}: ${title}. ${description}`, width),
    help.boxWrap(color.dim(source), width),
    color.bold('The smallest run'),
    example.trimEnd().replaceAll(/^/gm, '  '),
    color.bold('Required'),
    lines.slice(0, required).join('\n'),
    color.bold('Optional'),
    lines.slice(required).join('\n'),
  ].join('\n\n');
};

const linesOf = ({ type, required, default: value, description }: Setting): string[] => {
  const shown = typeof value === 'string' && !value.includes('\n') ? value : inspect(value);
  return [color.dim(required || value === undefined ? type : `${type}; default ${shown}`), description];
};

/** Terms on the left, and beside each what is to be said of it, wrapped. */
function items(entries: readonly { readonly term: string; readonly lines: readonly string[] }[], help: Help) {
  const width = Math.max(...entries.map(({ term }) => term.length));
  return entries.map(({ term, lines }) => help.formatItem(term, width, lines.join('\n'), help));
}
