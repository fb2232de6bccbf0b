/** What FORMAT.md tells clients of other languages is what the registry says. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeEvent } from './codec.js';
import { topics } from './topics.js';

const format = readFileSync(new URL('../FORMAT.md', import.meta.url), 'utf8');
/** Cells of the table under a heading, by their first one. */
const table = (heading: string): ReadonlyMap<string, readonly string[]> => {
  const section = format.split(/^## /m).find((text) => text.startsWith(heading)) ?? '';
  const rows = section.matchAll(/^\| `([\w-]+)` \| (.*) \|$/gm);
  return new Map([...rows].map(([, name, rest]) => [name!, rest!.split(' | ')]));
};

describe('FORMAT.md', () => {
  it.each(Object.values(topics))('has topic $name as it is', (topic) => {
    const { cleanup, events, partitions, name } = topic;
    const retentionMs = 'retentionMs' in topic ? topic.retentionMs : undefined;
    const forever = cleanup === 'compact' ? 'last of each key' : 'for ever';
    const kept = retentionMs === undefined ? forever : `${retentionMs / 86_400_000} days`;
    const types = events.map(({ type }) => `\`${type}\``).join(', ');
    expect(table('Topics').get(name)?.slice(1)).toEqual([String(partitions), kept, types]);
  });

  it('names the types whose version is not the first', () => {
    const [, listed] = /ce_schemaversion` says: (.*), 1 for all others/.exec(format.replaceAll('\n', ' '))!;
    const named = listed!.split('; ').map((part) => {
      const types = [...part.matchAll(/`([\w.]+)`/g)].map(([, type]) => type!);
      return [Number.parseInt(part, 10), types] as const;
    });
    const byVersion = new Map<number, string[]>();
    for (const { type, version } of Object.values(topics).flatMap(({ events }) => [...events]))
      byVersion.set(version, [...(byVersion.get(version) ?? []), type]);
    byVersion.delete(1);
    expect(new Map(named)).toEqual(byVersion);
  });

  it('names every field of feedback, and which are optional', () => {
    const { shape } = topics.feedback.events[0].data;
    const optional = [...table('Feedback')].map(([name, [what]]) => [name, what!.includes('optional')]);
    expect(optional).toEqual(
      Object.entries(shape).map(([name, schema]) => [name, schema.safeParse(undefined).success]),
    );
  });

  it.each([
    ['a ranking', 0],
    ['a thumb', 1],
  ])('publishes with kcat what is an event: %s', (_, which) => {
    const [, value] = [...format.matchAll(/^echo '(.*)' \|$/gm)][which]!;
    const [, command] = [...format.matchAll(/^ {2}(kcat .*)$/gm)][which]!;
    const headers = Object.fromEntries([...command!.matchAll(/-H (\w+)=(\S+)/g)].map(([, k, v]) => [k, v!]));
    const [, topic] = /-t (\S+)/.exec(command!)!;
    const [, key] = /-k (\S+)/.exec(command!)!;
    expect(topic).toBe('feedback');
    const { data } = decodeEvent('feedback', { value: Buffer.from(value!), headers });
    expect(key).toBe(topics.feedback.key(data));
    expect(headers.ce_id).toBe(key);
  });
});
