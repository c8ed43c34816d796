/** One SQL statement ready to run. Named ones are prepared once per connection. */
export interface Statement {
  name: string;
  text: string;
  values: unknown[];
}

/**
 * A named statement, written once beside the verb that runs it: call it with the parameters.
 * The name says room and purpose; two texts must never share one.
 */
export function prepared(name: string, text: string): (...values: unknown[]) => Statement {
  return (...values) => ({ name, text, values });
}

/**
 * A statement without a name, planned anew for the parameters of each call: for lists with optional
 * filters, whose plan for any parameters would be the slowest of all.
 */
export function planned(text: string): (...values: unknown[]) => Statement {
  return prepared('', text);
}

/** An ILIKE pattern for text that contains these very characters. */
export function contains(text: string): string {
  return `%${text.replace(/[\\%_]/g, '\\$&')}%`;
}

/**
 * Rows as one JSON parameter, numbered from 0 in `ord`, for `json_to_recordset($1)`: arrays in,
 * one outcome per row out.
 */
export function batch(rows: readonly object[]): string {
  return JSON.stringify(rows.map((row, ord) => ({ ord, ...row })));
}

/**
 * SQL for an array parameter, `$1::uuid[]`, whose length the planner must not see. It expects ten
 * elements of an array that it does not know, so that fewer look cheaper, and it would plan the
 * statement anew for each call.
 */
export function unseen(parameter: string): string {
  return `ARRAY(SELECT unnest(${parameter}))`;
}

/**
 * SQL to join a row by its key, from the index for each row of the batch. OFFSET 0 is a fence: the
 * planner takes every batch for a hundred rows, and would read all of a table of thousands instead,
 * also for one.
 */
export function byKey(table: string, condition: string): string {
  return `LATERAL (SELECT * FROM ${table} WHERE ${condition} OFFSET 0)`;
}
