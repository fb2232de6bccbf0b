import type { DataFor, EventType } from '@rlhf-streams/events';

/** An event to publish. Its id is a function of the work it reports, so that work done twice is dropped by id. */
export type NewEvent = {
  [Type in EventType]: {
    readonly type: Type;
    readonly data: DataFor<Type>;
    readonly id: string;
    /** Headers of the record, beside those that every event has. */
    readonly headers?: Readonly<Record<string, string>>;
  };
}[EventType];
