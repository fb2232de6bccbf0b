/** The reference service's compute thread: frozen language models in memory. */
import { logprobScorer, type Scorer } from '@rlhf-streams/model';
import { type SequenceItem, serveScoring } from '@rlhf-streams/serving/thread';

export interface LogprobItem extends SequenceItem {
  readonly temperature: number;
}

/** The result of an item: log-probs of tokens 1 .. length - 1. Each temperature has programs of its own. */
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
      const results = new Map<LogprobItem, Float32Array>();
      for (const temperature of new Set(items.map((item) => item.temperature))) {
        const alike = items.filter((item) => item.temperature === temperature);
        const sequences = alike.map(({ tokens }) => tokens);
        const rows = await scorerAt(temperature).score(parameters, sequences);
        alike.forEach((item, row) => {
          results.set(item, rows[row]!);
        });
      }
      return items.map((item) => results.get(item)!);
    };
  },
});
