/** What is measured on a device. */
export interface DeviceOptions {
  /** Words that the names of cases must have; several for any of them, none for all cases. */
  readonly filters: readonly string[];
  /** How long all of it may take. */
  readonly seconds: number;
  /** Tiny models on the processor, to see that everything runs. */
  readonly tiny: boolean;
}
