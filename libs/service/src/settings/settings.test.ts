import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { describeSettings, readSettings } from './settings.js';
import { runtimeSettings } from './shared.js';

const schema = z.object({
  BATCH: z.coerce.number().int().min(1).default(8).describe('events at a time'),
  MODE: z.enum(['fast', 'slow']).describe('how to work'),
  API_KEY: z.string().min(20).optional().describe('for the judge'),
});

describe('readSettings', () => {
  it('reads, converts, and takes defaults; an empty variable is absent', () => {
    const [own, shared] = readSettings(
      { MODE: 'fast', BATCH: '', PORT: '9000', OTHER: 'x' },
      schema,
      runtimeSettings,
    );
    expect(own).toEqual({ BATCH: 8, MODE: 'fast' });
    expect(shared).toMatchObject({ PORT: 9000, HOST: '127.0.0.1', LOG_LEVEL: 'info' });
  });

  it('names every mistake of every schema, and shows no secret', () => {
    const read = () =>
      readSettings({ BATCH: 'many', API_KEY: 'hunter2', PORT: '99999' }, schema, runtimeSettings);
    expect(read).toThrow(expect.objectContaining({ code: 'RUNTIME_SETTINGS' }));
    expect(read).toThrow(/BATCH: expected a number, got "many" \(events at a time\)/);
    expect(read).toThrow(/MODE: expected one of fast, slow, got nothing \(how to work\)/);
    expect(read).toThrow(/API_KEY: expected at least 20 characters, got a value that is not shown/);
    expect(read).toThrow(/PORT: expected at most 65535, got "99999"/);
    expect(read).not.toThrow(/hunter2/);
  });
});

describe('describeSettings', () => {
  it('lists name, meaning and default', () => {
    expect(describeSettings(schema)).toEqual([
      { name: 'BATCH', description: 'events at a time', default: '8', required: false },
      { name: 'MODE', description: 'how to work', required: true },
      { name: 'API_KEY', description: 'for the judge', required: false },
    ]);
  });

  it('says in words what depends on the machine', () => {
    const THREADS = z.coerce.number().default(16).meta({ defaultInWords: 'the cores' }).describe('threads');
    expect(describeSettings(z.object({ THREADS }))).toEqual([
      { name: 'THREADS', description: 'threads', default: 'the cores', required: false },
    ]);
  });

  it('insists on descriptions', () => {
    expect(() => describeSettings(z.object({ X: z.string() }))).toThrow(
      expect.objectContaining({ code: 'RUNTIME_SETTINGS' }),
    );
  });
});
