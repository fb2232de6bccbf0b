import { methodDescriptions, methodNames, parseRunConfig } from '@rlhf-streams/runs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { describeMethods, methodsAsJson } from './methods.js';

const longest = (text: string) => Math.max(...text.split('\n').map((line) => line.length));

describe('methods', () => {
  it('without a name are told with what they do and where they are from', () => {
    const text = describeMethods(undefined, 300);
    for (const { name, description, source } of methodDescriptions()) {
      expect(text).toMatch(new RegExp(`^  ${name} `, 'm'));
      const words = text.replaceAll(/\s+/g, ' ');
      expect(words).toContain(description);
      expect(words).toContain(source);
    }
  });

  it.each(methodDescriptions().map(({ name, settings, example }) => ({ name, settings, example })))(
    '$name has every setting with its type, default and meaning, and an example that is a run',
    ({ name, settings, example }) => {
      const text = describeMethods(name, 300);
      const words = text.replaceAll(/\s+/g, ' ');
      for (const { path, type, default: value, description, isGroup } of settings) {
        if (isGroup && value !== undefined) continue;
        expect(text).toMatch(new RegExp(`^  ${path.replaceAll(/[.[\]]/g, '\\$&')} `, 'm'));
        expect(words).toContain(description);
        expect(words).toContain(type);
      }
      expect(text).toContain(example.trimEnd().replaceAll(/^/gm, '  '));
      expect(parseRunConfig(parse(example)).method).toBe(name);
    },
  );

  it('are as JSON what the schemas say, all of them or one', () => {
    const all = JSON.parse(methodsAsJson(undefined)) as { name: string }[];
    expect(all.map(({ name }) => name)).toEqual([...methodNames]);
    expect(JSON.parse(methodsAsJson('ppo'))).toMatchObject({
      name: 'ppo',
      source: expect.stringContaining('https://arxiv.org/abs/1707.06347'),
      settings: expect.arrayContaining([
        expect.objectContaining({ path: 'ppo.cliprange', type: 'number above 0', default: 0.2 }),
      ]),
    });
    expect(() => methodsAsJson('pppo')).toThrow('did you mean ppo?');
  });

  it('fit a narrow terminal, a wide one, and what is no terminal, in plain text', () => {
    for (const name of [undefined, ...methodDescriptions().map(({ name }) => name)]) {
      for (const columns of [undefined, 20, 80])
        expect(longest(describeMethods(name, columns))).toBeLessThanOrEqual(80);
      expect(longest(describeMethods(name, 200))).toBeLessThanOrEqual(120);
      expect(describeMethods(name, 80)).not.toContain('\u001b');
    }
  });

  it('that are not there are refused, with those that are and the nearest', () => {
    const refusal = (name: string) => () => describeMethods(name, 80);
    expect(refusal('poo')).toThrow(`expected one of ${methodNames.join(', ')}, got poo: did you mean ppo?`);
    expect(refusal('grpo-online')).toThrow(
      expect.objectContaining({
        code: 'CLI_METHOD_UNKNOWN',
        message: `expected one of ${methodNames.join(', ')}, got grpo-online`,
      }),
    );
  });
});
