/**
 * Which names a service answers to. A page in a browser can make any name resolve to this machine (DNS rebinding) and
 * would then read and change what listens here; it cannot change the name that the browser sends as Host.
 */
import { isIPv4 } from 'node:net';
import { type ProblemError, problem } from './problem.js';

export interface HostRules {
  /** The address it listens at. */
  readonly address: string;
  /** The setting HTTP_ALLOWED_HOSTS: names separated by commas, besides those of this machine. */
  readonly allowed: string | undefined;
}

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/**
 * The problem with a request that addresses another host, or that changes something and comes from another host's page;
 * undefined for any other. Requests are checked where only this machine should reach the service, and where names are
 * set; elsewhere, whoever reaches the service may use it.
 */
export function refuseForeign(
  request: Request,
  { address, allowed = '' }: HostRules,
): ProblemError | undefined {
  const names = allowed.split(',').flatMap((name) => hostnameOf(`http://${name.trim()}`) ?? []);
  if (names.length === 0 && !isLoopback(address)) return undefined;
  const known = (hostname: string | undefined) =>
    hostname !== undefined && (isLoopback(hostname) || names.includes(hostname));
  const refused = (code: string, what: string, came: string) =>
    problem(
      403,
      code,
      'The service is not for that host',
      `expected ${what} ${['localhost, 127.0.0.1, [::1]', ...names].join(', ')}, got ${came}; the setting HTTP_ALLOWED_HOSTS names others`,
    );

  const host = request.headers.get('host');
  const named = [request.url, ...(host === null ? [] : [`http://${host}`])];
  const foreign = named.find((url) => !known(hostnameOf(url)));
  if (foreign !== undefined)
    return refused('HOST_NOT_ALLOWED', 'Host to be one of', hostnameOf(foreign) ?? 'none');
  const origin = request.headers.get('origin');
  if (origin !== null && !SAFE_METHODS.includes(request.method) && !known(hostnameOf(origin)))
    return refused('ORIGIN_NOT_ALLOWED', 'Origin to be a page of', origin);
  return undefined;
}

/** As URLs write it, without the dot that may end a name. */
function hostnameOf(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  return new URL(url).hostname.replace(/\.$/, '') || undefined;
}

/** Whether a name or an address reaches this machine only. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  if (host === '::1' || host === '[::1]') return true;
  return isIPv4(host) && host.startsWith('127.');
}
