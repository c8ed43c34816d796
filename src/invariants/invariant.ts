/** A promise about the database, with the query that finds whatever breaks it. */
export interface Invariant {
  /** short and lasting: metrics, alerts and the documentation refer to it */
  id: string;
  /** kebab words */
  name: string;
  /** one sentence: why it must hold */
  reason: string;
  /** false: only the whole database can be judged, and a check of recent rows leaves it out */
  scoped: boolean;
  /**
   * The violating rows as `subject` and `detail`, both text. Reads the relations of `scope.ts`
   * where only rows in scope matter, and the tables themselves where all rows do.
   */
  sql: string;
}
