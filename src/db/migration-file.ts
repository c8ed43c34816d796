import { readFile } from 'node:fs/promises';

/** One statement of a migration; `generates`: each cell of its result is a statement to run. */
export interface Statement {
  sql: string;
  generates: boolean;
}

/**
 * The statements of a migration file, as psql sees them: a line that is nothing but the end of a
 * quoted body (`$tag$;`) or begins with a backslash ends one. Of psql's own commands `\gexec` is
 * understood, the others are skipped.
 */
export async function statementsOf(file: string): Promise<Statement[]> {
  const statements: Statement[] = [];
  let lines: string[] = [];
  const end = (generates: boolean) => {
    const sql = lines.join('\n');
    lines = [];
    if (sql.replace(/^\s*--.*$/gm, '').trim() !== '') statements.push({ sql, generates });
  };
  for (const line of (await readFile(file, 'utf8')).split('\n')) {
    if (line.startsWith('\\')) {
      end(line.trim() === '\\gexec');
      continue;
    }
    lines.push(line);
    if (/^\$\w+\$;$/.test(line)) end(false);
  }
  end(false);
  return statements;
}
