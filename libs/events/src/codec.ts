import { z } from 'zod';
import type { EventDefinition } from './define.js';
import { EventError } from './errors.js';
import { type EventType, type NewDataFor, type TopicEvent, type TopicName, topics } from './topics.js';

/** Headers of a record: CloudEvents 1.0 in Kafka's binary mode, and W3C trace context. */
export interface EventHeaders {
  readonly ce_specversion: '1.0';
  readonly ce_id: string;
  readonly ce_type: EventType;
  readonly ce_source: string;
  readonly ce_time: string;
  /** Version of the data's schema. */
  readonly ce_schemaversion: string;
  readonly 'content-type': 'application/json';
  readonly traceparent?: string;
}

export interface EncodedEvent {
  readonly topic: TopicName;
  readonly key: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Located {
  readonly topic: TopicName;
  readonly definition: EventDefinition;
}

const byType = new Map<string, Located>();
for (const topic of Object.keys(topics) as TopicName[]) {
  for (const definition of topics[topic].events) byType.set(definition.type, { topic, definition });
}

/**
 * An event as a record of its topic. `id` is the event's identity: the same work done twice gives the same id.
 * @throws EventError EVENT_INVALID when `data` does not fit the type's schema.
 */
export function encodeEvent<Type extends EventType>(
  type: Type,
  data: NewDataFor<Type>,
  about: {
    readonly id: string;
    readonly source: string;
    readonly time?: Date;
    readonly traceparent?: string;
  },
): EncodedEvent {
  const { topic, definition } = byType.get(type)!;
  const checked = check(definition, data);
  const headers: EventHeaders = {
    ce_specversion: '1.0',
    ce_id: about.id,
    ce_type: type,
    ce_source: about.source,
    ce_time: (about.time ?? new Date()).toISOString(),
    ce_schemaversion: String(definition.version),
    'content-type': 'application/json',
    ...(about.traceparent && { traceparent: about.traceparent }),
  };
  const keyOf = topics[topic].key as (data: unknown) => string;
  return { topic, key: keyOf(checked), value: JSON.stringify(checked), headers: { ...headers } };
}

/**
 * The event that a record of `topic` holds. Every version of its schema up to this build's is read. A record that names no
 * version, as other clients write them, is read as any version that its data fit.
 * @throws EventError EVENT_TOO_NEW for a version that only a newer build knows; EVENT_NOT_JSON, EVENT_UNKNOWN_TYPE or
 *   EVENT_INVALID, naming each mistake by its path.
 */
export function decodeEvent<Name extends TopicName>(
  topic: Name,
  record: { readonly value: Uint8Array; readonly headers: Readonly<Record<string, string>> },
): TopicEvent<Name> {
  const type = record.headers.ce_type;
  const located = type === undefined ? undefined : byType.get(type);
  if (!located || located.topic !== topic) {
    const known = topics[topic].events.map((event) => event.type).join(', ');
    throw new EventError(
      'EVENT_UNKNOWN_TYPE',
      `expected header ce_type to be one of ${known} on topic ${topic}, got ${type ?? 'none'}`,
    );
  }
  const schemas = schemasOf(located.definition, record.headers.ce_schemaversion);
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(record.value).toString('utf8'));
  } catch (cause) {
    throw new EventError('EVENT_NOT_JSON', `expected the value of a ${type} event to be JSON`, { cause });
  }
  return { type, data: check(located.definition, json, schemas) } as TopicEvent<Name>;
}

/** The schemas that read data of the version that came, or of any version where none came. */
function schemasOf({ type, version, data, earlier = {} }: EventDefinition, came?: string): z.ZodType[] {
  if (came === undefined) return [data, ...Object.values(earlier).map((older) => older.pipe(data))];
  if (!/^[1-9]\d*$/.test(came))
    throw new EventError(
      'EVENT_INVALID',
      `expected header ce_schemaversion of a ${type} event to be a whole number from 1 on, or left out, got ${JSON.stringify(came)}`,
    );
  if (Number(came) > version)
    throw new EventError(
      'EVENT_TOO_NEW',
      `expected a ${type} event of schema version ${version} at most, got version ${came}, which a newer build wrote: upgrade this service to that build`,
    );
  return [earlier[Number(came)]?.pipe(data) ?? data];
}

/** The data as the first schema that they fit reads them; errors are those of the first schema. */
function check({ type, data: schema }: EventDefinition, data: unknown, schemas = [schema]): unknown {
  const results = schemas.map((each) => each.safeParse(data));
  const read = results.find(({ success }) => success) ?? results[0]!;
  if (read.success) return read.data;
  throw new EventError('EVENT_INVALID', `not a ${type} event: ${z.prettifyError(read.error)}`);
}
