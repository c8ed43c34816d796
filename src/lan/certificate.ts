import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { writeLocal } from '../local.ts';
import { CA_FILE } from './address.ts';

interface Pair {
  key: string;
  cert: string;
}

/** Files in the data folder. */
const FILES = {
  ca: { key: 'lan-ca.key', cert: CA_FILE },
  leaf: { key: 'lan.key', cert: 'lan.crt' },
};

const DAY_MS = 86_400_000;
/** As long as it may be without a phone refusing: a new one would have to be installed again. */
const CA_DAYS = 3650;
/** Browsers refuse more than 398 days of validity. */
const LEAF_DAYS = 396;
/** What ends sooner than this is made anew. */
const RENEW_DAYS = 30;
/** A phone whose clock is a little behind must not see a certificate from the future. */
const BACKDATE_DAYS = 1;

const EC = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;

/**
 * A certificate for these names (addresses or host names), signed by an authority of this
 * installation. Both are made once and kept in `directory` for its owner's eyes only. The
 * certificate is made anew when a name is missing, near its end, or when its files do not fit
 * together; the authority only near its end or when it is damaged, since phones have installed it.
 * All PEM; `ca` is the authority's certificate, never its key.
 */
export async function localTls(
  directory: string,
  names: readonly string[],
  now: Date = new Date(),
): Promise<Pair & { ca: string }> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const ca = await kept(directory, FILES.ca, now, isAuthority, () => newAuthority(now));
  const authority = new X509Certificate(ca.cert);
  const fits = (cert: X509Certificate) =>
    cert.verify(authority.publicKey) && names.every((name) => isFor(cert, name));
  const leaf = await kept(directory, FILES.leaf, now, fits, () => newLeaf(ca, names, now));
  return { ...leaf, ca: ca.cert };
}

/** The pair in these files if it is whole, lasts and fits; otherwise a new one, written there. */
async function kept(
  directory: string,
  files: { key: string; cert: string },
  now: Date,
  fits: (cert: X509Certificate) => boolean,
  make: () => Promise<Pair>,
): Promise<Pair> {
  try {
    const key = readFileSync(join(directory, files.key), 'utf8').trim();
    const cert = readFileSync(join(directory, files.cert), 'utf8').trim();
    const parsed = new X509Certificate(cert);
    const lastsUntil = now.getTime() + RENEW_DAYS * DAY_MS;
    const isWhole = parsed.checkPrivateKey(createPrivateKey(key));
    const isCurrent =
      Date.parse(parsed.validFrom) <= now.getTime() && Date.parse(parsed.validTo) >= lastsUntil;
    if (isWhole && isCurrent && fits(parsed)) {
      chmodSync(join(directory, files.key), 0o600); // brought here from a backup, say
      return { key, cert };
    }
  } catch {
    // not made yet, or a write that was interrupted
  }
  const made = await make();
  const [key, cert] = [made.key.trim(), made.cert.trim()];
  writeLocal(directory, files.key, key);
  writeLocal(directory, files.cert, cert);
  return { key, cert };
}

const isAuthority = (cert: X509Certificate) => cert.ca && cert.verify(cert.publicKey);

function isFor(cert: X509Certificate, name: string): boolean {
  return (isIP(name) ? cert.checkIP(name) : cert.checkHost(name)) !== undefined;
}

const period = (now: Date, days: number) => ({
  notBeforeDate: new Date(now.getTime() - BACKDATE_DAYS * DAY_MS),
  notAfterDate: new Date(now.getTime() + (days - BACKDATE_DAYS) * DAY_MS),
});

/** The day is in the name, so that a phone that installed two can tell them apart. */
async function newAuthority(now: Date): Promise<Pair> {
  const day = now.toISOString().slice(0, 10);
  const { private: key, cert } = await generate(
    [
      { name: 'commonName', value: `Lumis local CA ${day} ${now.getTime().toString(36)}` },
      { name: 'organizationName', value: 'Lumis of this computer' },
    ],
    {
      ...EC,
      ...period(now, CA_DAYS),
      extensions: [
        { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
        { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      ],
    },
  );
  return { key, cert };
}

async function newLeaf(ca: Pair, names: readonly string[], now: Date): Promise<Pair> {
  const { private: key, cert } = await generate(
    [{ name: 'commonName', value: names[0] ?? 'localhost' }],
    {
      ...EC,
      ...period(now, LEAF_DAYS),
      ca,
      extensions: [
        { name: 'basicConstraints', cA: false, critical: true },
        { name: 'keyUsage', digitalSignature: true, critical: true },
        { name: 'extKeyUsage', serverAuth: true },
        {
          name: 'subjectAltName',
          altNames: names.map((name) =>
            isIP(name) ? { type: 7 as const, ip: name } : { type: 2 as const, value: name },
          ),
        },
      ],
    },
  );
  return { key, cert };
}
