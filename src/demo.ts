import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OfferInput } from './contract/offer.ts';
import { changedBy, systemCaller } from './core/actor.ts';
import type { Database } from './db/pool.ts';
import { prepared } from './db/statement.ts';
import { FIRST_BRANCH, openBranch } from './devices/branches.ts';
import { claim } from './idempotency/claim.ts';
import { adjust } from './ledger/adjust.ts';
import { writeLocal } from './local.ts';
import { rememberMembers } from './members/members.ts';
import { parseMerchantKey } from './merchants/key.ts';
import { createMerchant } from './merchants/save.ts';
import { createOffer } from './offers/save.ts';

const EMPTY = prepared(
  'demo.empty',
  `SELECT NOT EXISTS (SELECT FROM rewards.merchants)
     AND NOT EXISTS (SELECT FROM rewards.redemption_offers)
     AND NOT EXISTS (SELECT FROM public.fact_accumulations) AS empty`,
);

const MEMBERS = [
  { user_id: 1, display_name: 'Ana Castillo', email: 'ana@example.com', points: 1250 },
  { user_id: 2, display_name: 'Luis Herrera', email: 'luis@example.com', points: 180 },
  { user_id: 3, display_name: 'Marta Ríos', email: 'marta@example.com', points: 40 },
];
const ADMINISTRATOR = { user_id: 100, display_name: 'Administración', email: 'admin@example.com' };

const KEY_FILE = 'demo-merchant-key';

/** What the demo begins with. */
export interface Demo {
  /** the first merchant's key, and whose it is */
  merchantKey: string;
  merchantId: string;
  /** the members one can sign in as */
  userIds: number[];
}

const OWNER = prepared(
  'demo.owner',
  'SELECT merchant_id FROM lumis.merchant_keys WHERE key_id = $1',
);

/** Undefined when the key belongs to another database. */
async function demoOf(db: Database, merchantKey: string): Promise<Demo | undefined> {
  const [row] = await db.query(OWNER(parseMerchantKey(merchantKey)?.key_id ?? ''));
  if (!row) return undefined;
  return { merchantKey, merchantId: row.merchant_id, userIds: MEMBERS.map((one) => one.user_id) };
}

/**
 * Fills an empty database with something to look at: three merchants with a branch each, offers of
 * every kind, three members with points, an administrator. `timeZone` is of the branches. Returns
 * the first merchant's key, kept in a file that only its owner can read; undefined when the database
 * was not ours to fill.
 */
export async function seedDemo(
  db: Database,
  directory: string,
  timeZone: string,
): Promise<Demo | undefined> {
  const path = join(directory, KEY_FILE);
  const [{ empty }] = (await db.query(EMPTY())) as [{ empty: boolean }];
  if (!empty) {
    return existsSync(path) ? demoOf(db, readFileSync(path, 'utf8').trim()) : undefined;
  }
  const caller = systemCaller('demo');
  const cafe = await createMerchant(db, caller, {
    merchant_name: 'Café Test',
    merchant_type: 'restaurant',
    contact_email: 'test@cafe.com',
  });
  const cinema = await createMerchant(db, caller, {
    merchant_name: 'Cine Bahía',
    merchant_type: 'cinema',
  });
  const books = await createMerchant(db, caller, {
    merchant_name: 'Librería Norte',
    merchant_type: 'bookstore',
  });
  writeLocal(directory, KEY_FILE, cafe.api_key);
  for (const { merchant_id } of [cafe, cinema, books]) {
    await openBranch(db, caller, merchant_id, { branch_name: FIRST_BRANCH, time_zone: timeZone });
  }
  for (const offer of offersOf(cafe.merchant_id, cinema.merchant_id, books.merchant_id)) {
    await createOffer(db, caller, offer);
  }
  for (const { points, ...member } of MEMBERS) {
    await rememberMembers(db, [{ ...member, locale: 'es' }]);
    const entry = { user_id: member.user_id, quantity: points, reason: 'Bienvenida' };
    const key = claim(caller.actor, `demo-${member.user_id}`, 'adjust', entry);
    await adjust(db, [{ ...key, ...entry, changed_by: changedBy(caller) }]);
  }
  await rememberMembers(db, [{ ...ADMINISTRATOR, locale: 'es' }]);
  return demoOf(db, cafe.api_key);
}

function offersOf(cafe: string, cinema: string, books: string): OfferInput[] {
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
  return [
    {
      name_friendly: 'Vale de regalo de $5',
      description: 'Un vale de $5 para cualquier libro o revista',
      lumis_cost: 500,
      merchant_id: books,
      max_redemptions_per_user: 2,
      offer_category: 'gift',
    },
    {
      name_friendly: 'Entrada 2x1',
      description: 'Dos entradas por el precio de una, de lunes a jueves',
      lumis_cost: 300,
      stock_quantity: 20,
      merchant_id: cinema,
      max_redemptions_per_user: 1,
      valid_to: inDays(60),
      offer_category: 'entertainment',
    },
    {
      name_friendly: 'Palomitas grandes',
      description: 'Palomitas grandes con tu entrada',
      lumis_cost: 120,
      stock_quantity: 0,
      merchant_id: cinema,
      offer_category: 'food_drink',
    },
    {
      name_friendly: 'Preventa de estreno',
      description: 'Tu entrada antes que nadie',
      lumis_cost: 250,
      merchant_id: cinema,
      valid_from: inDays(7),
      valid_to: inDays(14),
      offer_category: 'entertainment',
    },
    {
      name_friendly: 'Postre Gratis',
      description: 'Postre del día gratis con cualquier orden',
      lumis_cost: 75,
      stock_quantity: 30,
      merchant_id: cafe,
      valid_from: inDays(0),
      valid_to: inDays(15),
      offer_category: 'food_drink',
    },
    {
      name_friendly: 'Descuento 20%',
      description: '20% de descuento en tu compra total',
      lumis_cost: 100,
      stock_quantity: 50,
      merchant_id: cafe,
      valid_from: inDays(0),
      valid_to: inDays(30),
      on_expiry: 'forfeit',
      offer_category: 'discount',
    },
    {
      name_friendly: 'Café Gratis',
      description: 'Un café americano gratis de cualquier tamaño',
      lumis_cost: 50,
      stock_quantity: 100,
      merchant_id: cafe,
      valid_from: inDays(0),
      valid_to: inDays(30),
      offer_category: 'food_drink',
    },
  ];
}
