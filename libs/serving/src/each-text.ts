import { codeOf, messageOf } from '@rlhf-streams/bus';
import { problem } from '@rlhf-streams/service';

/**
 * What `work` makes of each text of a request, in their order.
 * @param field which lists them in the request
 * @throws ProblemError MODEL_SEQUENCE_LENGTH that names the text, `texts[2]`, when a model cannot read all of it; what
 *   `work` throws.
 */
export function eachText<Text, T>(
  texts: readonly Text[],
  work: (text: Text) => Promise<T>,
  field = 'texts',
): Promise<T[]> {
  return Promise.all(
    texts.map((text, index) =>
      work(text).catch((error) => {
        if (codeOf(error) !== 'MODEL_SEQUENCE_LENGTH') throw error;
        const [path, message] = [`${field}[${index}]`, messageOf(error)];
        throw problem(400, codeOf(error), 'A text does not fit the model', `${path}: ${message}`, {
          errors: [{ path, message, code: 'too_big' }],
        });
      }),
    ),
  );
}
