/** The services by name, and what they say that they wait for. */

/** The gateway last: when it answers, the others are up. */
export const serviceNames = ['policy', 'reward', 'reference', 'optimizer', 'coordinator', 'gateway'] as const;
export type ServiceName = (typeof serviceNames)[number];

/** How the services are started, in one process or in several. */
export interface ServicesOptions {
  /** Ports by service; a free one where none is given. */
  readonly ports?: Readonly<Partial<Record<ServiceName, number>>>;
  /** Number of replicas of each service; 0 leaves the service out. Default 1. */
  readonly replicas?: Readonly<Partial<Record<ServiceName, number>>>;
  /** Gives up the start, with its reason. */
  readonly signal?: AbortSignal;
}

/** What a service says in /readyz. */
interface Readiness {
  readonly failing?: Readonly<Record<string, string>>;
}

/** The reasons of all services that answer and are not ready, each once. */
export async function troublesOf(
  services: readonly { readyz(): Promise<Response> }[],
): Promise<readonly string[]> {
  const answers = await Promise.allSettled(
    services.map(async ({ readyz }) => (await (await readyz()).json()) as Readiness),
  );
  const reasons = answers.flatMap((answer) =>
    // A service that does not answer is being started again, which its supervisor reports.
    answer.status === 'fulfilled' ? Object.values(answer.value.failing ?? {}) : [],
  );
  return [...new Set(reasons)];
}
