import type { Command } from 'commander';
import { SignJWT } from 'jose';
import { ConfigFault, readConfig } from '../config.ts';
import { localSecret } from '../local.ts';
import { UsageFault } from './exit.ts';

/** `lumis token`: a signed token for trying things out and for support, on standard output. */
export function tokenCommand(program: Command): void {
  program
    .command('token')
    .description("print a member's or administrator's token, signed with JWT_SECRET")
    .requiredOption('--user <id>', 'the member id')
    .option('--role <role>', 'admin')
    .option('--name <name>', 'shown to staff')
    .option('--minutes <n>', 'how long it holds', '720')
    .action(async (options: { user: string; role?: string; name?: string; minutes: string }) => {
      if (!/^[1-9]\d{0,9}$/.test(options.user) || Number(options.user) > 2_147_483_647) {
        throw new UsageFault('--user must be a member id: a whole number from 1 to 2147483647');
      }
      if (options.role !== undefined && options.role !== 'admin') {
        throw new UsageFault('--role knows only admin');
      }
      if (!/^[1-9]\d{0,6}$/.test(options.minutes)) {
        throw new UsageFault('--minutes must be a whole number from 1 to 9999999');
      }
      const config = readConfig();
      if (config.databaseUrl && !config.jwtSecret) {
        throw new ConfigFault([
          'JWT_SECRET is not set: tokens come from whoever holds the JWKS keys',
        ]);
      }
      const secret = config.jwtSecret ?? localSecret(config.dataDirectory, 'jwt-secret');
      const { role, name } = options;
      const token = new SignJWT({ ...(role ? { role } : {}), ...(name ? { name } : {}) })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setSubject(options.user)
        .setIssuedAt()
        .setExpirationTime(`${options.minutes}m`);
      if (config.jwtIssuer) token.setIssuer(config.jwtIssuer);
      if (config.jwtAudience) token.setAudience(config.jwtAudience);
      console.log(await token.sign(new TextEncoder().encode(secret)));
    });
}
