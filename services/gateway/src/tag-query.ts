/** `?tag=seed:7&tag=study:kl`: what has all of these tags. */
import type { RunView } from '@rlhf-streams/runs';
import { z } from 'zod';

const Tag = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}:/, 'expected NAME:VALUE');

export const TagQuery = z
  .union([Tag, z.array(Tag)])
  .transform((tags): string[] => [tags].flat())
  .describe('NAME:VALUE; given more than once, all of them');

export const hasTags = ({ tags }: Pick<RunView, 'tags'>, wanted: readonly string[]): boolean =>
  wanted.every((tag) => {
    const colon = tag.indexOf(':');
    const name = tag.slice(0, colon);
    return tags !== undefined && Object.hasOwn(tags, name) && tags[name] === tag.slice(colon + 1);
  });
