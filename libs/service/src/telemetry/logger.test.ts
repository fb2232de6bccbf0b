import { describe, expect, it } from 'vitest';
import { createLogger, type LoggerOptions } from './logger.js';

function lines(options: LoggerOptions): { written: string[]; logger: ReturnType<typeof createLogger> } {
  const written: string[] = [];
  return { written, logger: createLogger({ ...options, write: (line) => void written.push(line) }) };
}

describe('createLogger', () => {
  it('writes a JSON object a line, with the fields of its parents and the cause of an error', () => {
    const { written, logger } = lines({ format: 'json' });
    const err = new Error('outer', { cause: new Error('inner') });
    logger.child({ service: 'reward' }).child({ run: 'r1' }).error({ err, step: 3 }, 'failed');
    expect(written).toHaveLength(1);
    expect(written[0]).toMatch(/\n$/);
    const line = JSON.parse(written[0]!);
    expect(line).toMatchObject({ level: 'error', service: 'reward', run: 'r1', step: 3, msg: 'failed' });
    expect(new Date(line.time).toISOString()).toBe(line.time);
    expect(line.err.stack).toContain('inner');
  });

  it('writes a line for people', () => {
    const { written, logger } = lines({ format: 'pretty' });
    logger.child({ service: 'reward' }).warn({ run: 'r1', n: 2 }, 'slow');
    expect(written[0]).toMatch(/^\d\d:\d\d:\d\d\.\d\d\d WARN {2}reward: slow \(run=r1 n=2\)\n$/);
  });

  it('keeps quiet below its level', () => {
    const { written, logger } = lines({ level: 'warn' });
    logger.info({}, 'chatter');
    logger.child({ a: 1 }).debug({}, 'chatter');
    logger.warn({}, 'heard');
    expect(written).toHaveLength(1);
    const silent = lines({ level: 'silent' });
    silent.logger.fatal({}, 'not heard');
    expect(silent.written).toEqual([]);
  });
});
