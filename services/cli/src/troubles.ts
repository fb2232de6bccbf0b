/** What services say in /readyz that they wait for. */
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
    // One that does not answer is starting again, and says so in another way.
    answer.status === 'fulfilled' ? Object.values(answer.value.failing ?? {}) : [],
  );
  return [...new Set(reasons)];
}
