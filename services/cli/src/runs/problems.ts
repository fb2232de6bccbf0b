/** What a gateway answers when it does not do what it was asked for. */
import { type ProblemDetails, ProblemError, problem } from '@rlhf-streams/service';

/** Whether the same request may be answered later. */
export const isPassing = (error: Error): boolean => error instanceof ProblemError && error.status === 503;

export async function problemOf(response: Response): Promise<ProblemError> {
  const { status, code, title, detail, errors } = (await response.json()) as ProblemDetails;
  return problem(status, code, title, detail, { ...(errors && { errors }) });
}
