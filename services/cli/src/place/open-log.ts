/** Opens the log for a person who waits: an answer soon, or the reason why there is none. */
import type { EventLog } from '@rlhf-streams/log';
import { type Environment, openLog } from '@rlhf-streams/service';
import { tellingWait } from './telling-wait.js';

/** Time in which brokers must answer first. Services wait longer, and so does a command that has begun. */
const FIRST_ANSWER_MS = 10_000;

const isKafka = ({ RLHF_LOG, KAFKA_BROKERS }: Environment): boolean =>
  RLHF_LOG ? RLHF_LOG === 'kafka' : Boolean(KAFKA_BROKERS);

export const isEmbedded = ({ RLHF_LOG, KAFKA_BROKERS }: Environment): boolean =>
  RLHF_LOG ? RLHF_LOG === 'embedded' : !KAFKA_BROKERS;

/**
 * Opens the log that an environment names, as `openLog` does, but brokers must answer within 10 s at first, or within
 * KAFKA_DEADLINE_MS.
 * @throws LogError LOG_UNAVAILABLE naming the brokers and what came instead of an answer.
 */
export async function openLogSoon(environment: Environment): Promise<EventLog> {
  if (!isKafka(environment)) return openLog(environment);
  const answered = async (settings: Environment) =>
    tellingWait(`Kafka at ${environment.KAFKA_BROKERS}`, openLog(settings));
  if (!environment.KAFKA_DEADLINE_MS) {
    const first = await answered({ ...environment, KAFKA_DEADLINE_MS: String(FIRST_ANSWER_MS) });
    await first.close();
  }
  return answered(environment);
}
