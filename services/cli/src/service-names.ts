/** The gateway last: when it answers, the others are up. */
export const serviceNames = ['policy', 'reward', 'reference', 'optimizer', 'coordinator', 'gateway'] as const;
export type ServiceName = (typeof serviceNames)[number];
