import type { TopicChange } from '@rlhf-streams/log';

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
  const lines = [TITLES, ...rows];
  const widths = TITLES.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map((line) =>
      line
        .map((text, column) => text.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
