/**
 * Joins the events of a run into the items of its steps, by id: `step.issued` lists them. Topics have no order among them,
 * so an item's events may be read before its step is listed: they are kept until it is. The first event counts, so that
 * one delivered or made twice changes nothing. Scores, log-probs and their failures belong to a rollout only if they
 * carry its policy version.
 */

import { advance, type Received } from '@rlhf-streams/bus';
import type { Cause, StreamName } from '@rlhf-streams/events';
import type { Positions } from '@rlhf-streams/log';
import { type IssuedStep, type Item, idsOf, type JoinedTopic, type RunSpec } from '@rlhf-streams/runs';

export type JoinedEvent = Received<JoinedTopic>;

/** The items of a stream in the order of their ids. */
export interface WholeStream {
  readonly items: readonly Item[];
  /** Number of items that failed and are left out. */
  readonly failed: number;
  /** Why the first of those failed. */
  readonly cause?: Cause;
}

/** A step in which each item has all its parts or has failed, by its streams. */
export type WholeStep = { readonly [Name in StreamName]?: WholeStream };

export interface Join {
  add(event: JoinedEvent | Received<'steps'>): void;
  whole(step: number): WholeStep | undefined;
  /** Items without a part yet, by topic; where nothing lists the items of the step, that one event. */
  missing(step: number): Record<string, number>;
  /** Forgets steps before `step`. */
  forget(step: number): void;
  /** The oldest offsets from which the log must be read again so that no event of an open step is missed. */
  positions(): Positions;
}

export interface JoinOptions {
  /** The run whose events are joined: of a replay the one that it replays. */
  readonly run: string;
  readonly streams: RunSpec['streams'];
  /** Number of steps: events of later ones are not kept. */
  readonly steps: number;
  readonly from?: Positions;
  /** What a step is made of, in a run whose steps no event lists. */
  readonly listed?: ((step: number) => IssuedStep) | undefined;
}

/** What an item is joined from, its own topic first. */
type Joins = readonly JoinedTopic[];

/** All events of one item by topic, in the order of their arrival. */
interface Entry {
  readonly joins: Joins;
  readonly events: Map<JoinedTopic, JoinedEvent[]>;
}

interface OpenStep {
  readonly streams: readonly { readonly stream: StreamName; readonly ids: readonly string[] }[];
  readonly entries: ReadonlyMap<string, Entry>;
  /** The event that lists the items. */
  readonly issued?: Received<'steps'> | undefined;
  /** Items neither whole nor failed. */
  open: number;
}

export function createJoin({ run, streams, steps: end, from = {}, listed }: JoinOptions): Join {
  const joinsOf = new Map(streams.map(({ name, joins }) => [name, joins]));
  const topics = new Set(streams.flatMap(({ joins }) => joins));
  const steps = new Map<number, OpenStep>();
  /** Events of steps that are not listed yet. */
  const early = new Map<number, JoinedEvent[]>();
  let positions = from;
  let first = 0;

  const open = (step: IssuedStep, issued?: Received<'steps'>): OpenStep => {
    const ids = idsOf(step);
    const entries = new Map(
      ids.flatMap(({ stream, items }) =>
        items.map((id): [string, Entry] => [id, { joins: joinsOf.get(stream)!, events: new Map() }]),
      ),
    );
    const opened: OpenStep = {
      streams: ids.map(({ stream, items }) => ({ stream, ids: items })),
      entries,
      issued,
      open: entries.size,
    };
    steps.set(step.step, opened);
    for (const event of early.get(step.step) ?? []) take(opened, event);
    early.delete(step.step);
    return opened;
  };
  const openStep = (step: number): OpenStep | undefined =>
    steps.get(step) ?? (listed && step < end ? open(listed(step)) : undefined);

  return {
    add(event) {
      positions = advance(positions, event);
      const { step } = event.data;
      if (event.data.run !== run || step < first || step >= end) return;
      if (event.topic === 'steps') {
        if (!steps.has(step)) open(event.data, event);
        return;
      }
      if (!topics.has(event.topic)) return;
      const opened = openStep(step);
      if (opened) return take(opened, event);
      const others = early.get(step);
      if (others) others.push(event);
      else early.set(step, [event]);
    },
    whole(step) {
      const opened = steps.get(step);
      if (!opened || opened.open > 0) return undefined;
      return Object.fromEntries(
        opened.streams.map(({ stream, ids }) => {
          const kept = ids.filter((id) => !hasFailed(opened.entries.get(id)!));
          const items = kept.map((id) => toItem(id, opened.entries.get(id)!));
          const lost = ids.find((id) => hasFailed(opened.entries.get(id)!));
          return [
            stream,
            {
              items,
              failed: ids.length - kept.length,
              ...(lost !== undefined && { cause: causeOf(opened.entries.get(lost)!) }),
            },
          ];
        }),
      );
    },
    missing(step) {
      const opened = openStep(step);
      if (!opened) return { steps: 1 };
      const counts: Record<string, number> = {};
      for (const entry of opened.entries.values()) {
        if (isSettled(entry)) continue;
        for (const topic of entry.joins)
          if (!decisive(entry, topic)) counts[topic] = (counts[topic] ?? 0) + 1;
      }
      return counts;
    },
    forget(step) {
      first = Math.max(first, step);
      for (const known of [...steps.keys()]) if (known < step) steps.delete(known);
      for (const known of [...early.keys()]) if (known < step) early.delete(known);
    },
    positions() {
      const oldest = Object.fromEntries(
        Object.entries(positions).map(([topic, offsets]) => [topic, [...offsets]]),
      );
      const mustBeRead = ({ topic, partition, offset }: JoinedEvent | Received<'steps'>) => {
        const offsets = oldest[topic]!;
        offsets[partition] = Math.min(offsets[partition]!, offset);
      };
      for (const { entries, issued } of steps.values()) {
        if (issued) mustBeRead(issued);
        for (const { events } of entries.values())
          for (const event of [...events.values()].flat()) mustBeRead(event);
      }
      for (const event of [...early.values()].flat()) mustBeRead(event);
      return oldest;
    },
  };
}

/** Gives an event to the item of the step that it is about, if it is about one. */
function take(step: OpenStep, event: JoinedEvent): void {
  const entry = step.entries.get(subjectOf(event));
  if (!entry?.joins.includes(event.topic)) return;
  const settled = isSettled(entry);
  const known = entry.events.get(event.topic);
  if (known) known.push(event);
  else entry.events.set(event.topic, [event]);
  if (!settled && isSettled(entry)) step.open--;
}

function subjectOf({ data }: JoinedEvent): string {
  if ('rollout' in data) return data.rollout;
  if ('subject' in data) return data.subject;
  if ('comparison' in data) return data.comparison;
  return 'thumb' in data ? data.thumb : data.demonstration;
}

const isFailure = ({ type }: JoinedEvent): boolean => type.endsWith('.failed');

/**
 * The event of a topic that counts: the first one, or for a rollout's scores, log-probs and their failures the first with
 * the rollout's policy version. This depends on the order within partitions alone, so that every reading of the log
 * decides alike.
 */
function decisive({ joins, events: known }: Entry, topic: JoinedTopic): JoinedEvent | undefined {
  const subject = known.get(joins[0]!)?.[0];
  if (topic === joins[0] || !subject) return subject;
  const events = known.get(topic);
  if (!('policyVersion' in subject.data)) return events?.[0];
  const { policyVersion } = subject.data;
  return events?.find(({ data }) => 'policyVersion' in data && data.policyVersion === policyVersion);
}

/** The event by which an item failed, the first in the order of its topics. */
const failureOf = (entry: Entry): JoinedEvent | undefined =>
  entry.joins.map((topic) => decisive(entry, topic)).find((event) => event && isFailure(event));

const hasFailed = (entry: Entry): boolean => failureOf(entry) !== undefined;

/** Every failure has a cause. */
const causeOf = (entry: Entry): Cause => (failureOf(entry)!.data as { readonly cause: Cause }).cause;

const isSettled = (entry: Entry): boolean =>
  entry.joins.every((topic) => decisive(entry, topic)) || hasFailed(entry);

const partNames: Readonly<Record<JoinedTopic, Exclude<keyof Item, 'id'>>> = {
  demonstrations: 'demonstration',
  comparisons: 'comparison',
  thumbs: 'thumb',
  rollouts: 'rollout',
  rewards: 'reward',
  'reference-logprobs': 'reference',
};

const toItem = (id: string, entry: Entry): Item => ({
  id,
  ...Object.fromEntries(entry.joins.map((topic) => [partNames[topic], decisive(entry, topic)!.data])),
});
