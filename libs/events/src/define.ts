import type { z } from 'zod';

/**
 * One kind of event: its CloudEvents type, the version of its schema, and the schema of its data. Every version up to
 * that one is read: `data` reads those that it fits, `earlier` turns others into what it reads. The version goes up
 * when a build that knows only the one before would misread the data.
 */
export interface EventDefinition<Type extends string = string, Data extends z.ZodType = z.ZodType> {
  readonly type: Type;
  readonly version: number;
  readonly description: string;
  readonly data: Data;
  /** By version: schemas of data that `data` does not fit, which turn them into what it fits. */
  readonly earlier?: EarlierSchemas;
}

type EarlierSchemas = Readonly<Record<number, z.ZodType>>;

export function defineEvent<Type extends string, Data extends z.ZodType>(
  type: Type,
  version: number,
  description: string,
  data: Data,
  earlier?: EarlierSchemas,
): EventDefinition<Type, Data> {
  return { type, version, description, data, ...(earlier && { earlier }) };
}

/** A topic: who writes what on it, under which key, and how long it stays. */
export interface TopicDefinition<Events extends readonly EventDefinition[] = readonly EventDefinition[]> {
  readonly name: string;
  readonly description: string;
  readonly events: Events;
  /** The record key of an event's data: equal keys share a partition, in order. */
  readonly key: (data: DataOf<Events[number]>) => string;
  readonly partitions: number;
  readonly cleanup: 'delete' | 'compact';
  /**
   * Milliseconds; undefined keeps records for ever. However old it is, no record of an archived topic is deleted before its
   * run is archived.
   */
  readonly retentionMs?: number;
  /** Services rebuild their state from the whole topic: no setting may delete any of it. */
  readonly state?: true;
}

export function defineTopic<const Events extends readonly EventDefinition[]>(
  topic: TopicDefinition<Events>,
): TopicDefinition<Events> {
  return topic;
}

export type DataOf<Definition> =
  Definition extends EventDefinition<string, infer Data> ? z.output<Data> : never;

/** The data as they are published: what has a default may be left out. */
export type NewDataOf<Definition> =
  Definition extends EventDefinition<string, infer Data> ? z.input<Data> : never;

/** `{ type, data }` of one definition; distributes over a union of definitions. */
export type EventOf<Definition> =
  Definition extends EventDefinition<infer Type, infer Data>
    ? { readonly type: Type; readonly data: z.output<Data> }
    : never;
