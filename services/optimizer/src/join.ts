/**
 * Joins the events of a run into the items of its steps, by id. The first event counts, so that one delivered or made
 * twice changes nothing. Scores, log-probs and their failures belong to a rollout only if they carry its policy version.
 */

import { advance, type Received } from '@rlhf-streams/bus';
import type { Positions } from '@rlhf-streams/log';
import {
  type Item,
  itemsOf,
  type JoinedTopic,
  loggedBy,
  type RunConfig,
  type RunSpec,
  specOf,
  stepsOf,
} from '@rlhf-streams/runs';

export type JoinedEvent = Received<JoinedTopic>;

export interface WholeStep {
  readonly items: readonly Item[];
  /** Number of items that failed and are left out of the step. */
  readonly failed: number;
}

export interface Join {
  add(event: JoinedEvent): void;
  /** The items of a step in the order of their ids, when each has all its parts or has failed. */
  whole(step: number): WholeStep | undefined;
  /** Items without a part yet, by topic. */
  missing(step: number): Record<string, number>;
  /** Forgets steps before `step`. */
  forget(step: number): void;
  /** The oldest offsets from which the log must be read again so that no event of an open step is missed. */
  positions(): Positions;
}

/** All events of one item by topic, in the order of their arrival. */
type Entry = Map<JoinedTopic, JoinedEvent[]>;

interface OpenStep {
  /** In the order of their ids. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** Items neither whole nor failed. */
  open: number;
}

export function createJoin(config: RunConfig, testItems: number, from: Positions = {}): Join {
  const { joins } = specOf(config);
  const logged = loggedBy(config);
  const end = stepsOf(config, testItems);
  const steps = new Map<number, OpenStep>();
  let positions = from;
  let first = 0;

  const openStep = (step: number): OpenStep => {
    const known = steps.get(step);
    if (known) return known;
    const ids = itemsOf(config, step, testItems);
    const opened: OpenStep = { entries: new Map(ids.map((id) => [id, new Map()])), open: ids.length };
    steps.set(step, opened);
    return opened;
  };

  return {
    add(event) {
      positions = advance(positions, event);
      const { run, step } = event.data;
      if (run !== logged || step < first || step >= end || !joins.includes(event.topic)) return;
      const opened = openStep(step);
      const entry = opened.entries.get(subjectOf(event));
      if (!entry) return;
      const settled = isSettled(entry, joins);
      const known = entry.get(event.topic);
      if (known) known.push(event);
      else entry.set(event.topic, [event]);
      if (!settled && isSettled(entry, joins)) opened.open--;
    },
    whole(step) {
      const opened = steps.get(step);
      if (!opened || opened.open > 0) return undefined;
      const kept = [...opened.entries].filter(([, entry]) => !hasFailed(entry, joins));
      return {
        items: kept.map(([id, entry]) => toItem(id, entry, joins)),
        failed: opened.entries.size - kept.length,
      };
    },
    missing(step) {
      const waiting = [...openStep(step).entries.values()].filter((entry) => !isSettled(entry, joins));
      const counts = joins.map(
        (topic) => [topic, waiting.filter((entry) => !decisive(entry, topic, joins)).length] as const,
      );
      return Object.fromEntries(counts.filter(([, count]) => count > 0));
    },
    forget(step) {
      first = Math.max(first, step);
      for (const known of steps.keys()) if (known < step) steps.delete(known);
    },
    positions() {
      const oldest = Object.fromEntries(
        Object.entries(positions).map(([topic, offsets]) => [topic, [...offsets]]),
      );
      for (const { entries } of steps.values()) {
        for (const entry of entries.values()) {
          for (const { topic, partition, offset } of [...entry.values()].flat()) {
            const offsets = oldest[topic]!;
            offsets[partition] = Math.min(offsets[partition]!, offset);
          }
        }
      }
      return oldest;
    },
  };
}

function subjectOf({ data }: JoinedEvent): string {
  if ('rollout' in data) return data.rollout;
  if ('subject' in data) return data.subject;
  return 'comparison' in data ? data.comparison : data.demonstration;
}

const isFailure = ({ type }: JoinedEvent): boolean => type.endsWith('.failed');

/**
 * The event of a topic that counts: the first one, or for a rollout's scores, log-probs and their failures the first with
 * the rollout's policy version. This depends on the order within partitions alone, so that every reading of the log
 * decides alike.
 */
function decisive(entry: Entry, topic: JoinedTopic, joins: RunSpec['joins']): JoinedEvent | undefined {
  const subject = entry.get(joins[0]!)?.[0];
  if (topic === joins[0] || !subject) return subject;
  const events = entry.get(topic);
  if (!('policyVersion' in subject.data)) return events?.[0];
  const { policyVersion } = subject.data;
  return events?.find(({ data }) => 'policyVersion' in data && data.policyVersion === policyVersion);
}

const hasFailed = (entry: Entry, joins: RunSpec['joins']): boolean =>
  joins.some((topic) => {
    const event = decisive(entry, topic, joins);
    return event && isFailure(event);
  });

const isSettled = (entry: Entry, joins: RunSpec['joins']): boolean =>
  joins.every((topic) => decisive(entry, topic, joins)) || hasFailed(entry, joins);

const partNames: Readonly<Record<JoinedTopic, Exclude<keyof Item, 'id'>>> = {
  demonstrations: 'demonstration',
  comparisons: 'comparison',
  rollouts: 'rollout',
  rewards: 'reward',
  'reference-logprobs': 'reference',
};

const toItem = (id: string, entry: Entry, joins: RunSpec['joins']): Item => ({
  id,
  ...Object.fromEntries(joins.map((topic) => [partNames[topic], decisive(entry, topic, joins)!.data])),
});
