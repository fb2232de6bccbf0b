import type { Logger } from '@rlhf-streams/bus';
import { type Bindings, type DestinationStream, pino } from 'pino';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  /** Default `info`. */
  readonly level?: LogLevel;
  /** `json`: a JSON object a line; `pretty`: for people. Default: pretty on a terminal. */
  readonly format?: 'json' | 'pretty';
  /** Where lines go, newline included. Default: standard error, so that a command's output stays clean. */
  readonly write?: (line: string) => void;
}

export function createLogger(options: LoggerOptions = {}): Logger {
  const {
    level = 'info',
    format = process.stderr.isTTY ? 'pretty' : 'json',
    write = (line) => {
      process.stderr.write(line);
    },
  } = options;
  const destination: DestinationStream = { write: format === 'json' ? write : (line) => write(pretty(line)) };
  return adapt(
    pino(
      {
        level,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      destination,
    ),
  );
}

function adapt(inner: pino.Logger): Logger {
  const method = (level: Exclude<LogLevel, 'silent'>): Logger['info'] => {
    return (fields, message) => inner[level](fields, message);
  };
  return {
    trace: method('trace'),
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    fatal: method('fatal'),
    child: (fields) => adapt(inner.child(fields as Bindings)),
  };
}

/** `12:30:01.123 WARN  reward: message (field=value)`, and an error's stack below. */
function pretty(line: string): string {
  const { level, time, service, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const error = err as { stack?: string; message?: string } | undefined;
  const details = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return [
    `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)} `,
    service === undefined ? '' : `${service}: `,
    msg ?? '',
    details.length > 0 ? ` (${details.join(' ')})` : '',
    error ? `\n  ${(error.stack ?? error.message ?? JSON.stringify(error)).replaceAll('\n', '\n  ')}` : '',
    '\n',
  ].join('');
}
