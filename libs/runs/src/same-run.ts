/** When two requests under one name are for the same run: the one rule of the gateway, the command and replays. */
import { isDeepStrictEqual } from 'node:util';
import type { RunConfig } from './run-config.js';

/** A setting that two configurations do not share. */
export interface Difference {
  /** As configurations are written: `optimizer.learningRate`. */
  readonly path: string;
  /** Its value in the one and in the other; undefined where a configuration has no such setting. */
  readonly values: readonly [unknown, unknown];
}

/** Whether two configurations ask for the same run. */
export const sameRun = (one: RunConfig, other: RunConfig): boolean => differences(one, other).length === 0;

/**
 * The settings in which two configurations differ, as JSON tells them apart: a log knows no `undefined` and no `-0`.
 * Lists are compared whole.
 */
export const differences = (one: RunConfig, other: RunConfig): Difference[] =>
  compare(asJson(one), asJson(other), []);

function compare(one: unknown, other: unknown, path: readonly string[]): Difference[] {
  if (isDeepStrictEqual(one, other)) return [];
  if (!isObject(one) || !isObject(other)) return [{ path: path.join('.'), values: [one, other] }];
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].flatMap((name) => compare(one[name], other[name], [...path, name]));
}

const isObject = (json: unknown): json is Readonly<Record<string, unknown>> =>
  typeof json === 'object' && json !== null && !Array.isArray(json);

const asJson = (config: RunConfig): unknown => JSON.parse(JSON.stringify(config));
