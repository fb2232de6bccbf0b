/** What a measurement is, and what it comes to. */
import type { DeviceOptions } from './device/options.js';

export interface BenchOptions {
  /** Larger models too. */
  readonly big: boolean;
  /** How long the soak lasts. */
  readonly minutes: number;
  /** The folder of a checkpoint. */
  readonly model: string | undefined;
  /** A revision to measure beside this build. */
  readonly against: string | undefined;
  /** What is measured on a GPU, and how long. */
  readonly device: DeviceOptions;
  /** Brokers to measure Kafka at; undefined where none can be had. */
  readonly brokers: () => Promise<string | undefined>;
}

/** Columns by title, units included. Every row of a table has the same. */
export type Row = Readonly<Record<string, string | number>>;

export interface Report {
  readonly rows: readonly Row[];
  /** Single numbers by name, units included. */
  readonly figures?: Row;
  /** What a reader must know of the numbers. */
  readonly notes: readonly string[];
}

export interface Measurement {
  readonly name: string;
  /** Measured only when asked for by name. */
  readonly onlyByName?: boolean;
  readonly about: string;
  run(options: BenchOptions): Promise<Report>;
}
