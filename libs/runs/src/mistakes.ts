/** Explains what is wrong with a run's configuration, and what to write instead. */
import { nearest, plainName, shown } from '@rlhf-streams/events';
import { z } from 'zod';
import { EACH, type Setting } from './settings.js';

/** One mistake by its path, with what was expected and what came. */
export interface Mistake {
  readonly path: PropertyKey[];
  readonly message: string;
  readonly code: string;
}

/** Mistakes as the lines of an error: each with its path. */
export const inWords = (mistakes: readonly Mistake[]): string =>
  mistakes
    .map(({ path, message }) => `  ${path.length > 0 ? `${z.core.toDotPath(path)}: ` : ''}${message}`)
    .join('\n');

/** The settings of each method's runs, by its name. */
export type SettingsByMethod = Readonly<Record<string, readonly Setting[]>>;

/** Given to `safeParse` as `error`: marks the issues for which a schema has no message of its own. */
export const UNEXPLAINED = '';

type Issue = z.core.$ZodIssue;

interface Configuration {
  readonly json: unknown;
  /** Settings of the run's method. */
  readonly settings: readonly Setting[];
  readonly byMethod: SettingsByMethod;
}

interface Explained extends Mistake {
  /** The setting that an unknown one was taken for. */
  readonly meant?: string | undefined;
  readonly isMissing?: boolean;
}

/** Explains what a schema complained of in a configuration, each mistake once. */
export function explainMistakes(
  issues: readonly Issue[],
  json: unknown,
  byMethod: SettingsByMethod,
): Mistake[] {
  const settings = (at(byMethod, [String(at(json, ['method']))]) ?? []) as readonly Setting[];
  const explained = issues.flatMap((issue) => explain(issue, { json, settings, byMethod }));
  // `modle` written for `model` is one mistake, though `model` is missing too.
  const meant = new Set(explained.map(({ meant }) => meant));
  const mistakes = new Map<string, Mistake>();
  for (const { path, message, code, isMissing } of explained) {
    if (isMissing && meant.has(path.join('.'))) continue;
    mistakes.set(`${path.join('.')} ${message}`, { path, message, code });
  }
  return [...mistakes.values()];
}

function explain(issue: Issue, configuration: Configuration): Explained[] {
  const { code, path } = issue;
  const came = at(configuration.json, path);
  if (code === 'unrecognized_keys') return unknownSettings(issue.keys, path, configuration);
  if (code === 'invalid_union' && issue.discriminator !== undefined) return [noMethod(came, configuration)];
  if (code === 'invalid_union' && typeof came === 'object' && came !== null) {
    // An object can only be meant as the one option of the union that is an object.
    const meant = issue.errors.find((issues) =>
      issues.every(({ code, path }) => code !== 'invalid_type' || path.length > 0),
    );
    if (meant)
      return meant.flatMap((inner) => explain({ ...inner, path: [...path, ...inner.path] }, configuration));
  }
  const setting = settingAt(path, configuration.settings);
  const choice = typeof came === 'string' && nearest(came, setting?.choices ?? []);
  const message = `${expected(issue, setting)}, got ${shown(came)}${choice ? `: did you mean ${choice}?` : ''}`;
  return [{ path, message, code, isMissing: came === undefined }];
}

function expected(issue: Issue, setting: Setting | undefined): string {
  if (issue.message !== UNEXPLAINED) return issue.message;
  if (!setting) return "expected a run's settings by their names";
  const type = (typeof issue.path.at(-1) === 'number' && setting.item) || setting.type;
  // Types leave this bound out because every integer has it.
  const isHuge = issue.code === 'too_big' && issue.maximum === Number.MAX_SAFE_INTEGER;
  return `expected ${type}${isHuge ? `, at most ${Number.MAX_SAFE_INTEGER}` : ''}`;
}

function noMethod(came: unknown, { json, byMethod }: Configuration): Explained {
  const methods = Object.keys(byMethod);
  const choice = typeof came === 'string' ? nearest(came, methods) : undefined;
  const misnamed = came === undefined ? nearest('method', Object.keys(json as object)) : undefined;
  const hint = choice ? `: did you mean ${choice}?` : misnamed ? `: did you mean it by ${misnamed}?` : '';
  return {
    path: ['method'],
    message: `expected one of ${methods.join(', ')}, got ${shown(came)}${hint}`,
    code: 'invalid_value',
  };
}

/** Beyond this many keys in an object, or letters in a key, no search for what was meant is worth its time. */
const MOST_SEARCHED = 50;

/** Says for each unknown key what was meant by it; where nothing is near, lists the settings that there are, once. */
function unknownSettings(
  keys: readonly string[],
  place: PropertyKey[],
  configuration: Configuration,
): Explained[] {
  let listed = false;
  return keys.map((key, index) => {
    const isSearched = index < MOST_SEARCHED && key.length <= MOST_SEARCHED;
    const { hint, meant } = isSearched ? whatWasMeant(key, place, configuration) : {};
    const list =
      hint === undefined && !listed ? `; there are ${namesOf(within(place, configuration.settings))}` : '';
    listed ||= list !== '';
    return {
      path: [...place, key],
      message: `no such setting${hint ?? list}`,
      code: 'unrecognized_keys',
      meant,
    };
  });
}

function whatWasMeant(
  key: string,
  place: PropertyKey[],
  { json, settings, byMethod }: Configuration,
): { readonly hint?: string; readonly meant?: string } {
  const here = within(place, settings);
  const didYouMean = (setting: Setting) => ({
    hint: `; did you mean ${lastName(setting)}?`,
    meant: setting.path,
  });
  const same = here.find((setting) => isCalled(setting, key));
  if (same) return didYouMean(same);
  const elsewhere = settings.find((setting) => isCalled(setting, key) && setting.partOf === undefined);
  if (elsewhere) return { hint: `; ${placeOf(elsewhere.path)}`, meant: elsewhere.path };
  const near = nearest(key, here.map(lastName));
  if (near !== undefined) return didYouMean(here.find((setting) => lastName(setting) === near)!);
  const others = Object.entries(byMethod).flatMap(([method, theirs]) => {
    const setting = theirs.find((setting) => isCalled(setting, key));
    return setting ? [{ method, path: setting.path }] : [];
  });
  if (others.length > 0) {
    const methods = others.map(({ method }) => method).join(', ');
    return {
      hint: `; ${others[0]!.path} is one of method ${methods}, this is ${shown(at(json, ['method']))}`,
    };
  }
  return {};
}

function placeOf(path: string): string {
  const keys = path.split('.');
  const name = keys.at(-1)!;
  if (keys.length === 1) return `${name} belongs at the top, beside method`;
  const written = keys.reduceRight((inner, key) => {
    if (!inner) return `${key}: ...`;
    return key.endsWith(EACH) ? `${key.slice(0, -EACH.length)}: [{ ${inner} }]` : `${key}: { ${inner} }`;
  }, '');
  return `${name} belongs in ${keys.slice(0, -1).join('.')}, as ${written}`;
}

/** Settings directly at a place. */
const within = (place: PropertyKey[], settings: readonly Setting[]): readonly Setting[] => {
  const parent = place.length > 0 ? `${pathTo(place)}.` : '';
  return settings.filter(({ path }) => path.startsWith(parent) && !path.slice(parent.length).includes('.'));
};

/** A place as the path of a setting, in which items of a list are all one. */
const pathTo = (place: PropertyKey[]): string =>
  place
    .map((key, index) => (typeof key === 'number' ? EACH : `${index > 0 ? '.' : ''}${String(key)}`))
    .join('');

const settingAt = (place: PropertyKey[], settings: readonly Setting[]): Setting | undefined => {
  // An item of a list is told by the list.
  const wanted = pathTo(typeof place.at(-1) === 'number' ? place.slice(0, -1) : place);
  return settings.find(({ path }) => path === wanted);
};

const lastName = ({ path }: Setting): string => path.split('.').at(-1)!;

const isCalled = (setting: Setting, key: string): boolean =>
  [lastName(setting), setting.path, ...setting.names].some((name) => plainName(name) === plainName(key));

const namesOf = (settings: readonly Setting[]): string => settings.map(lastName).join(', ');

function at(json: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    json,
  );
}
