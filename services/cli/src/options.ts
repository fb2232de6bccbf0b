/** The values of the command's options, as people write them. */
import { InvalidArgumentError } from 'commander';
import { MOST_GATEWAY_PORT } from './place/listening.js';
import { type ServiceName, serviceNames } from './place/services.js';

export const wholeNumber = (text: string): number => {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('expected a whole number of at least 0');
  return value;
};

export const positiveNumber = (text: string): number => {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('expected a number above 0');
  return value;
};

/** An empty path, as an unset shell variable gives, is refused: services take it for ./runs, and the command for the folder it was started in. */
const path = (what: 'folder' | 'file') => (text: string) => {
  if (text.trim() === '') throw new InvalidArgumentError(`expected the path of a ${what}, got an empty one`);
  if (text.startsWith('-'))
    throw new InvalidArgumentError(`expected the path of a ${what}; write ./${text} for one of this name`);
  return text;
};
export const folder = path('folder');
export const file = path('file');

/** `language,use_case` */
export const names = (text: string): string[] => {
  const all = text.split(',').map((name) => name.trim());
  if (all.includes('')) throw new InvalidArgumentError('expected names with commas between them');
  return all;
};

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of a time such as `90s`, `1h` or `0`. */
export const duration = (text: string): number => {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim()) ?? [];
  if (unit !== undefined) return Math.round(Number(number) * UNITS[unit as keyof typeof UNITS]);
  if (text.trim() === '0') return 0;
  throw new InvalidArgumentError('expected a time such as 90s, 30m, 1h or 2d');
};

const BYTES = { '': 1, KB: 1e3, MB: 1e6, GB: 1e9 } as const;

/** Bytes of a size such as `5GB`. */
export const byteCount = (text: string): number => {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(|KB|MB|GB)$/i.exec(text.trim()) ?? [];
  const bytes =
    unit === undefined ? 0 : Math.round(Number(number) * BYTES[unit.toUpperCase() as keyof typeof BYTES]);
  if (bytes > 0) return bytes;
  throw new InvalidArgumentError('expected a size such as 5GB or 500MB');
};

/** `policy=2,reward=2` */
export const replicaCounts = (text: string): Partial<Record<ServiceName, number>> =>
  Object.fromEntries(
    text.split(',').map((part) => {
      const [, name, count] = /^(\w+)=(\d+)$/.exec(part.trim()) ?? [];
      if (!serviceNames.includes(name as ServiceName))
        throw new InvalidArgumentError(`expected service=number, of ${serviceNames.join(', ')}`);
      return [name, Number(count)];
    }),
  );

/** `cut=1,dropped=.5` */
export const limits = (text: string): { cut?: number; dropped?: number } =>
  Object.fromEntries(
    text.split(',').map((part) => {
      const [, name, share] = /^(cut|dropped)=(\d*\.?\d+)$/.exec(part.trim()) ?? [];
      if (name === undefined || Number(share) > 1)
        throw new InvalidArgumentError(
          'expected cut=share,dropped=share, or one of them, shares from 0 to 1',
        );
      return [name, Number(share)];
    }),
  );

export const GATEWAY_PORT = 8080;

/** The gateway's port; the other services listen at the ports after it. */
export const gatewayPort = (text: string): number => {
  // A variable that is empty counts as absent.
  const port = text === '' ? GATEWAY_PORT : wholeNumber(text);
  if (port > MOST_GATEWAY_PORT)
    throw new InvalidArgumentError(
      `expected a port of at most ${MOST_GATEWAY_PORT}: the services take the next ones`,
    );
  return port;
};
