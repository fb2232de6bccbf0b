import type { TopicChange } from '@rlhf-streams/log';
import { columns } from './columns.js';

const TITLES = ['topic', 'what', 'is', 'wanted', ''];

/** A line a change, in aligned columns; what cannot be changed says why. */
export function topicTable(changes: readonly TopicChange[]): string {
  const rows = changes.map(({ topic, kind, setting, from, to, applies, note }) => [
    topic,
    setting ?? kind,
    from ?? '-',
    to,
    applies ? '' : `stays: ${note ?? 'the log does not change that'}`,
  ]);
  return columns([TITLES, ...rows]);
}
