import { type Config, ConfigFault } from '../config.ts';
import { qrTerminal } from '../core/qr.ts';
import { lanAddresses } from '../lan/address.ts';
import type { OwnTls, Running } from '../main.ts';
import { UsageFault } from './exit.ts';

export interface Lan {
  /** the configuration, changed so that phones in this network reach the server */
  config: Config;
  tls: OwnTls;
}

/** Where a phone gets the authority's certificate. */
export const CA_PATH = '/lumis-ca.crt';

/**
 * Prepares a start for phones in this network: on all interfaces, over HTTPS (browsers give the
 * camera to nothing less), under an address of this machine. `wanted` is that address, or true for
 * the likeliest one. A PUBLIC_URL that was given stays. Throws UsageFault for an address that is
 * not this machine's, ConfigFault when there is none or PUBLIC_URL is not HTTPS.
 */
export async function openToLan(config: Config, wanted: string | true): Promise<Lan> {
  if (config.port === 0) {
    throw new ConfigFault(['PORT must not be 0 for --lan: the phones need to know the port']);
  }
  const address = wanted === true ? likeliestAddress() : ownAddress(wanted);
  const isGiven = config.publicUrl !== `http://localhost:${config.port}`;
  const publicUrl = isGiven ? config.publicUrl : `https://${address}:${config.port}`;
  if (!publicUrl.startsWith('https:')) {
    throw new ConfigFault([
      'PUBLIC_URL must begin with https:// for --lan, or be unset: phones come over HTTPS',
    ]);
  }
  const hosts = [address, 'localhost', '127.0.0.1', hostOf(publicUrl)];
  // loaded only here: it takes longer than every other part of a start
  const { localTls } = await import('../lan/certificate.ts');
  const tls = await localTls(config.dataDirectory, [...new Set(hosts)]);
  return { config: { ...config, host: '0.0.0.0', publicUrl }, tls };
}

const hostOf = (url: string) => new URL(url).hostname.replace(/^\[|\]$/g, '');

function likeliestAddress(): string {
  const [first] = lanAddresses().filter(({ isInternal }) => !isInternal);
  if (first) return first.address;
  throw new ConfigFault([
    'this machine has no IPv4 address that a phone could reach; connect it to the network ' +
      'the phone is in, or start without --lan',
  ]);
}

function ownAddress(wanted: string): string {
  const all = lanAddresses();
  if (all.some(({ address }) => address === wanted)) return wanted;
  const listed = all.map(({ address, card }) => `${address} (${card})`).join(', ');
  throw new UsageFault(
    `--lan ${wanted || "''"} is not an address of this machine; it has: ${listed}`,
  );
}

/** What is printed for whoever stands there with a phone. `columns` is the terminal's width. */
export function lanWelcome(
  { publicUrl }: Config,
  running: Pick<Running, 'demo'>,
  columns: number | undefined,
): string {
  const [wallet, scanner] = [`${publicUrl}/wallet/`, `${publicUrl}/scan/`];
  return [
    '',
    '  On a phone in this network',
    '',
    `  Wallet   ${wallet}`,
    `  Scanner  ${scanner}`,
    '',
    ...(columns ? qrCodes([wallet, scanner], ['Wallet', 'Scanner'], columns) : []),
    '  The phone will warn that the connection is not private: it does not know the certificate of',
    '  this computer. Android: Advanced, Proceed. iPhone: Show Details, visit this website.',
    '  The camera then works. To have no warning, and the apps also without network, install',
    `  ${publicUrl}${CA_PATH} on the phone: docs/phones.md says how, and how to remove it.`,
    '',
    ...(running.demo ? DEMO_WARNING : []),
  ].join('\n');
}

const DEMO_WARNING = [
  '  ! WARNING: with the demo data ANYBODY in this network can sign in as a demo member and pair',
  '  ! a scanner. Do this only in a network you trust, and never with real members or points.',
  '',
];

/** The codes beside each other where the terminal is wide enough, else one below the other. */
function qrCodes(texts: string[], names: string[], columns: number): string[] {
  const gap = '  ';
  const codes = texts.map((text, i) => {
    const lines = qrTerminal(text);
    const width = lines[0]?.replace(CONTROL, '').length ?? 0;
    return { width, lines: [(names[i] ?? '').padEnd(width), ...lines] };
  });
  const height = Math.max(...codes.map(({ lines }) => lines.length));
  const isWide = codes.reduce((sum, { width }) => sum + width + gap.length, 0) <= columns;
  if (!isWide) return codes.flatMap(({ lines }) => [...lines.map((line) => gap + line), '']);
  const beside = Array.from({ length: height }, (_, y) =>
    codes.map(({ lines, width }) => gap + (lines[y] ?? ' '.repeat(width))).join(''),
  );
  return [...beside.map((line) => line.trimEnd()), ''];
}

/** The colours, which take no room. */
const CONTROL = new RegExp(`${'\u001b'}\\[[\\d;]*m`, 'g');
