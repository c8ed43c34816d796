/** A take-over told in steps: up, service, down, and what the old system does in between. */

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { migrateDown, migrateUp } from '../../src/db/migrate.ts';
import { type Layout, type LegacyOptions, legacyDatabase } from './legacy.ts';
import {
  assertSame,
  legacySnapshot,
  oldFormula,
  type PerMember,
  shownAfter,
  shownBefore,
} from './legacy-snapshot.ts';
import { legacyWriters } from './legacy-statements.ts';
import { assertClean, move, offerOf, openProgramme, type Programme, plus } from './take-over.ts';

/** A legacy database that goes up and down; `move` says what a member gains, by whoever's hand. */
export async function takeOverStory(t: TestContext, layout: Layout, options: LegacyOptions = {}) {
  const legacy = await legacyDatabase(t, layout, { plain: 12, receipts: 1, ...options });
  const { client, url } = legacy;
  const { schema } = await legacySnapshot(client, layout);
  const formula = await oldFormula(client, layout);
  const shown = await shownBefore(client, layout);
  const moved: PerMember = {};
  let programme: Programme | undefined;
  t.after(() => programme?.close());
  const assertPoints = (now: PerMember, before: PerMember, what: string) => {
    const wrong: Record<string, string> = {};
    for (const member of Object.keys({ ...now, ...before, ...moved })) {
      const due = plus(before[member] ?? '0', moved[member] ?? '0');
      if (due !== (now[member] ?? '0')) wrong[member] = `${now[member]}, and ${due} is due`;
    }
    assert.deepEqual(wrong, {}, what);
  };
  const old = async (text: string, ...values: unknown[]): Promise<any[]> =>
    (await client.query(legacy.sql(text), values)).rows;
  return {
    ...legacy,
    w: legacyWriters(await legacy.connect(legacy.botUrl), layout),
    schema,
    old,
    /** the first column of what is asked */
    column: async (text: string, ...values: unknown[]): Promise<any[]> =>
      (await old(text, ...values)).map((row) => Object.values(row)[0]),
    move: (member: number, points: number) => move(moved, member, points),
    /** likewise, as another role */
    async columnAs(as: string, text: string): Promise<any[]> {
      const session = await legacy.connect(as);
      const { rows } = await session.query(legacy.sql(text)).finally(() => session.end());
      return rows.map((row) => Object.values(row)[0]);
    },
    /** the old system changes a balance, and says no more */
    async pay(member: number, points: number) {
      await old(
        'UPDATE @.fact_balance_points SET balance = balance + $2 WHERE user_id = $1',
        member,
        points,
      );
      move(moved, member, points);
    },
    async check(what: string) {
      await assertClean(url, what);
      assertPoints(await shownAfter(client), shown, `${what}, shown`);
    },
    async up(what = 'up') {
      await migrateUp(url);
      await this.check(what);
    },
    async down(what = 'down') {
      await migrateDown(url);
      assertSame((await legacySnapshot(client, layout)).schema, schema, what);
      assertPoints(await oldFormula(client, layout), formula, `${what}, old formula`);
      assertPoints(await shownBefore(client, layout), shown, `${what}, stored`);
    },
    /** with our server at work, the same one all the time, and everything in order after it */
    async serve<T>(work: (p: Programme) => Promise<T>): Promise<T> {
      programme ??= await openProgramme(url);
      const done = await work(programme);
      await this.check('after service');
      return done;
    },
    async redeem(p: Programme, member: number, offer: number | string) {
      const done = await p.redeem(
        member,
        typeof offer === 'string' ? offer : await offerOf(p, offer),
      );
      assert.equal(typeof done, 'object', `member ${member} is refused: ${done}`);
      move(moved, member, -done.lumis_spent);
      return done;
    },
  };
}

export type Story = Awaited<ReturnType<typeof takeOverStory>>;
