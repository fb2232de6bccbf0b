/** How a service that scores handles events: each is answered by one of its own, with the scores or why there are none. */
import type { NewEvent, Projection, Received } from '@rlhf-streams/bus';
import type { Cause } from '@rlhf-streams/events';
import { isModelError } from '@rlhf-streams/model/errors';
import { hasEnded, type RunView, startedRun } from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { untilAborted } from '@rlhf-streams/waiting';

/** Topics whose events are scored. */
type ScoredTopic = 'rollouts' | 'comparisons' | 'thumbs';

export interface AnswerOptions<Event> {
  /** The answer, or undefined when the run asks for none. It has the same id each time that an event comes again. */
  readonly answer: (run: RunView, event: Event) => Promise<NewEvent | undefined>;
  /** The answer when a model threw a ModelError, as it would at each attempt. */
  readonly failed: (event: Event, cause: Cause) => NewEvent;
  /** Milliseconds that an answer may take. Default that of `consume`. */
  readonly timeoutMs?: number;
}

/**
 * Answers the events of runs that have started and not ended. An event waits for its run to start, and while something
 * is out of reach; what cannot be handled otherwise goes to the dead letters.
 */
export async function answerEvents<
  Name extends ScoredTopic,
  Type extends Received<Name>['type'] = Received<Name>['type'],
>(
  { name, events, onStop }: Pick<ServiceContext, 'name' | 'events' | 'onStop'>,
  runs: Projection<RunView>,
  {
    topics,
    onlyTypes,
    group = name,
  }: {
    readonly topics: readonly Name[];
    readonly onlyTypes: readonly Type[];
    /** Default: the service's name. */
    readonly group?: string;
  },
  { answer, failed, timeoutMs }: AnswerOptions<Extract<Received<Name>, { type: Type }>>,
): Promise<void> {
  const consumer = await events.consume({
    group,
    topics,
    onlyTypes,
    ...(timeoutMs !== undefined && { timeoutMs }),
    async handle(event, { signal }) {
      const run = await startedRun({ runs, events }, event.data, signal);
      if (hasEnded(run)) return;
      // Whoever answers may wait for others: the event is another's as soon as the signal says so.
      const answered = await untilAborted(answer(run, event), signal).catch((error) => {
        if (!isModelError(error)) throw error;
        return failed(event, { code: error.code, message: error.message });
      });
      if (answered) await events.publish([answered]);
    },
  });
  onStop(() => consumer.close(), `consumer of ${topics.join(' and ')} as ${group}`);
}
