import { userInfo } from 'node:os';
import type { Command } from 'commander';
import type { Branch, Pairing } from '../contract/device.ts';
import type { Merchant } from '../contract/merchant.ts';
import { systemCaller } from '../core/actor.ts';
import { Failure } from '../core/failure.ts';
import { qrTerminal } from '../core/qr.ts';
import type { Database } from '../db/pool.ts';
import { FIRST_BRANCH, listBranches, openBranch } from '../devices/branches.ts';
import { listDevices, revokeDevice } from '../devices/devices.ts';
import { createPairing } from '../devices/pairings.ts';
import { findMerchantNamed } from '../merchants/find.ts';
import { printTable, type Session, withDatabase } from './database.ts';
import { UsageFault } from './exit.ts';

const LIST_MAX = 100;

interface PairOptions {
  merchant: string;
  branch?: string;
  name?: string;
  reverse?: boolean;
  json?: boolean;
}

/** `lumis device pair|list|revoke`: the phones that scan for a merchant. */
export function deviceCommand(program: Command): void {
  const device = program.command('device').description('phones that scan for a merchant');
  device
    .command('pair')
    .description('print a QR that pairs one phone, once, within ten minutes')
    .requiredOption('--merchant <name or id>', 'whose phone it becomes')
    .option('--branch <name>', `the only one there is, or ${FIRST_BRANCH}; made when it is new`)
    .option('--name <name>', 'what the phone is called, such as Caja 1')
    .option('--reverse', 'it may also take confirmations back')
    .option('--json', 'for scripts')
    .action((options: PairOptions) => withDatabase((session) => pair(session, options)));
  device
    .command('list')
    .description('devices of a merchant, newest first')
    .requiredOption('--merchant <name or id>', 'whose devices')
    .option('--json', 'for scripts')
    .action((options: { merchant: string; json?: boolean }) =>
      withDatabase(async ({ db }) => {
        const { merchant_id } = await merchantNamed(db, options.merchant);
        const { data } = await listDevices(db, merchant_id, { limit: LIST_MAX });
        if (options.json) console.log(JSON.stringify(data));
        else if (data.length === 0) console.log('no devices');
        else printTable(data.map(({ scopes, ...row }) => ({ ...row, scopes: scopes.join(' ') })));
      }),
    );
  device
    .command('revoke')
    .description('end a device at once')
    .argument('<device id>')
    .requiredOption('--merchant <name or id>', 'whose device')
    .action((device_id: string, options: { merchant: string }) =>
      withDatabase(async ({ db }) => {
        const { merchant_id } = await merchantNamed(db, options.merchant);
        await revokeDevice(db, caller(), { merchant_id, device_id }).catch((error: Error) => {
          const isAbsent = error instanceof Failure && error.code === 'not_found';
          throw isAbsent ? new UsageFault(`${options.merchant} has no device ${device_id}`) : error;
        });
        console.log(`revoked  ${device_id}`);
      }),
    );
}

const caller = () => systemCaller(`cli:${userInfo().username}`);

async function pair({ db, config }: Session, options: PairOptions): Promise<void> {
  for (const name of ['branch', 'name'] as const) {
    const text = options[name];
    if (text !== undefined && (text.trim() === '' || text.length > 100)) {
      throw new UsageFault(`--${name} needs 1 to 100 characters`);
    }
  }
  const merchant = await merchantNamed(db, options.merchant);
  const { branch_id, isNew } = await branchNamed(
    db,
    merchant,
    options.branch?.trim(),
    config.businessTimeZone,
  );
  const pairing = await createPairing(
    db,
    caller(),
    merchant.merchant_id,
    {
      branch_id,
      ...(options.name === undefined ? {} : { device_name: options.name }),
      ...(options.reverse ? { scopes: ['scan', 'reverse'] } : {}),
    },
    config.publicUrl,
  );
  const { qr_svg, ...shown } = pairing;
  console.log(options.json ? JSON.stringify(shown) : inWords(pairing, isNew));
}

function inWords(pairing: Pairing, isNewBranch: boolean): string {
  // elsewhere than in a terminal a QR of blocks and colours is noise
  const qr = process.stdout.isTTY ? [...qrTerminal(pairing.pairing_url), ''] : [];
  return [
    ...qr,
    `merchant  ${pairing.merchant_name}`,
    `branch    ${pairing.branch_name}${isNewBranch ? '  (new: it was made now)' : ''}`,
    `open      ${pairing.pairing_url}`,
    `until     ${pairing.expires_at}  (one phone, once)`,
  ].join('\n');
}

async function merchantNamed(db: Database, text: string): Promise<Merchant> {
  const merchant = await findMerchantNamed(db, text);
  if (!merchant) throw new UsageFault(`there is no merchant ${text}`);
  return merchant;
}

/** The open branch of that name, made when there is none; without a name the only one there is. */
async function branchNamed(
  db: Database,
  { merchant_id }: Merchant,
  name: string | undefined,
  time_zone: string,
): Promise<Pick<Branch, 'branch_id'> & { isNew: boolean }> {
  const { data } = await listBranches(db, merchant_id, { is_active: true, limit: LIST_MAX });
  const [first, ...others] = data;
  if (name === undefined && first && others.length === 0) return { ...first, isNew: false };
  if (name === undefined && first) {
    const names = data.map((branch) => branch.branch_name).join(', ');
    throw new UsageFault(`--branch is needed: this merchant has ${names}`);
  }
  const branch_name = name ?? FIRST_BRANCH;
  const isNew = !data.some((branch) => branch.branch_name === branch_name);
  const branch = await openBranch(db, caller(), merchant_id, { branch_name, time_zone });
  return { ...branch, isNew };
}
