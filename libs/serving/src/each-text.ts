import { codeOf, messageOf } from '@rlhf-streams/bus';
import { problem } from '@rlhf-streams/service';

/**
 * What `work` makes of each text of a request, in their order.
 * @throws ProblemError MODEL_SEQUENCE_LENGTH that names the text, `texts[2]`, when a model cannot read all of it; what
 *   `work` throws.
 */
export function eachText<T>(texts: readonly string[], work: (text: string) => Promise<T>): Promise<T[]> {
  return Promise.all(
    texts.map((text, index) =>
      work(text).catch((error) => {
        if (codeOf(error) !== 'MODEL_SEQUENCE_LENGTH') throw error;
        const [path, message] = [`texts[${index}]`, messageOf(error)];
        throw problem(400, codeOf(error), 'A text does not fit the model', `${path}: ${message}`, {
          errors: [{ path, message, code: 'too_big' }],
        });
      }),
    ),
  );
}
