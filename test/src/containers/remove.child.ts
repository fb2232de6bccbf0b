/**
 * Run as a process: when the pipe from its parent breaks, whatever the parent ended of, removes everything of the
 * compose project, and the image tag, that its environment names.
 */
import { execFileSync } from 'node:child_process';

const TIMEOUT_MS = 120_000;

function docker(...args: string[]): string[] {
  return execFileSync('docker', args, { encoding: 'utf8', timeout: TIMEOUT_MS }).split('\n').filter(Boolean);
}

process.stdin.resume().once('close', () => {
  docker('compose', '--profile', 'tools', 'down', '--volumes', '--remove-orphans', '--timeout', '5');
  const ours = ['--filter', `reference=rlhf-streams/*:${process.env.RLHF_TAG}`];
  const tags = docker('image', 'ls', ...ours, '--format', '{{.Repository}}:{{.Tag}}');
  if (tags.length > 0) docker('image', 'rm', ...tags);
});
