/**
 * | code | when | what becomes of the completion |
 * |---|---|---|
 * | `SCORER_ANSWER` | the answer for one completion is no score: text, NaN, beyond the scale, no verdict | it has no score |
 * | `SCORER_MISALIGNED` | an answer has another number of scores than was asked for, or another id in a place | those in doubt have none |
 * | `SCORER_REFUSED` | the scorer says that it cannot score this, by an error of its own or HTTP 4xx | it has no score |
 * | `SCORER_FAILED` | the scorer failed at each attempt: HTTP 500, a module that threw or ended its thread | it has no score |
 * | `SCORER_TIMEOUT` | no answer came in time at any attempt | it has no score |
 * | `REWARD_NOT_FINITE` | a score, or the sum of scores, is NaN or infinite in float32 | it has no score |
 * | `REWARD_NOT_APPLICABLE` | no scorer that rewards applies | it has no score |
 * | `SCORER_UNAVAILABLE` | nobody answers at its address, it is overloaded, accepts no token, or is a module that answers nothing in time | it waits, and its run is paused |
 * | `SCORER_CAP` | as much was spent as the operator allows | it waits, and its run is paused |
 * | `SCORER_UNDECLARED` | this service's RLHF_SCORERS does not have the scorer | it waits, and its run is paused |
 * | `SCORER_CHANGED` | the scorer is declared otherwise than when the run started | it waits, and its run is paused |
 * | `RUNTIME_SETTINGS` | the file of declarations is not as it should be | the service does not start |
 */
export type ScorerErrorCode =
  | 'SCORER_ANSWER'
  | 'SCORER_MISALIGNED'
  | 'SCORER_REFUSED'
  | 'SCORER_FAILED'
  | 'SCORER_TIMEOUT'
  | 'REWARD_NOT_FINITE'
  | 'REWARD_NOT_APPLICABLE'
  | 'SCORER_UNAVAILABLE'
  | 'SCORER_CAP'
  | 'SCORER_UNDECLARED'
  | 'SCORER_CHANGED'
  | 'RUNTIME_SETTINGS';

/** What the operator mends: the completion has its score afterwards. */
const MENDED: ReadonlySet<ScorerErrorCode> = new Set([
  'SCORER_UNAVAILABLE',
  'SCORER_CAP',
  'SCORER_UNDECLARED',
  'SCORER_CHANGED',
]);

/** Why a completion has no score. Its message never holds a token. */
export class ScorerError extends Error {
  override readonly name = 'ScorerError';
  readonly code: ScorerErrorCode;
  /** Whether the work that met it should wait: see `isUnavailable` of `@rlhf-streams/bus`. */
  readonly unavailable: boolean;

  constructor(code: ScorerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.unavailable = MENDED.has(code);
  }
}
