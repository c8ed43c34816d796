import type pg from 'pg';

/** A benchmark makes a load that no server of others should see, and drops databases. */
export function loopbackOnly(url: string): string {
  const { hostname, searchParams } = new URL(url);
  const near = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
  if (!near || searchParams.has('host') || searchParams.has('hostaddr')) {
    throw new Error('--url must name a server on this machine: localhost, 127.0.0.1 or [::1]');
  }
  return url;
}

/** Throws unless the server itself sits on loopback: a tunnel or a proxy may lead elsewhere. */
export async function refuseDistant(client: pg.Client): Promise<void> {
  const { rows } = await client.query(`SELECT inet_server_addr() <<= '127.0.0.0/8'
    OR inet_server_addr() = '::1' AS near`);
  if (!rows[0].near) throw new Error('the server is not on this machine');
}
