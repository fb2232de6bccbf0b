/** The reference service's compute thread: frozen language models in memory. */
import { groupBy, logprobScorer, type Scorer } from '@rlhf-streams/model';
import { type SequenceItem, serveScoring } from '@rlhf-streams/serving/thread';

export interface LogprobItem extends SequenceItem {
  readonly temperature: number;
}

/** Log-probs of tokens 1 .. length - 1 of each sequence. Each temperature has programs of its own. */
await serveScoring<LogprobItem, Float32Array>({
  role: 'reference',
  kind: 'language model',
  create: (engine, config) => {
    const scorers = new Map<number, Scorer<Float32Array>>();
    const scorerAt = (temperature: number) => {
      const scorer = scorers.get(temperature) ?? logprobScorer(engine, config, temperature);
      scorers.set(temperature, scorer);
      return scorer;
    };
    return async (parameters, items) => {
      const logprobs: Float32Array[] = [];
      for (const [temperature, places] of groupBy(items.keys(), (place) => items[place]!.temperature)) {
        const sequences = places.map((place) => items[place]!.tokens);
        const rows = await scorerAt(temperature).score(parameters, sequences);
        places.forEach((place, row) => {
          logprobs[place] = rows[row]!;
        });
      }
      return logprobs;
    };
  },
});
