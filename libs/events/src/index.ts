export { decodeEvent, type EncodedEvent, type EventHeaders, encodeEvent } from './codec.js';
export type {
  DataOf,
  EventDefinition,
  EventOf,
  TopicDefinition,
} from './define.js';
export { EventError, type EventErrorCode } from './errors.js';
export { expectedBy, explainMistake, explainUnknownKeys, shown } from './explain.js';
export { itemId, rolloutId } from './ids.js';
export { runIn, runOfLetter } from './letter.js';
export { nearest, plainName } from './nearest.js';
export * from './schemas.js';
export {
  type ArchivedTopic,
  archivedTopics,
  type DataFor,
  type EventType,
  type NewDataFor,
  type TopicEvent,
  type TopicName,
  topics,
} from './topics.js';
