/** What a measurement is, and what it comes to. */

export interface BenchOptions {
  /** Larger models too. */
  readonly big: boolean;
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
  readonly about: string;
  run(options: BenchOptions): Promise<Report>;
}
