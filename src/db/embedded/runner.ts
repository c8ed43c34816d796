/** As whom PostgreSQL runs: it refuses root, and it must be able to reach the project's folder. */

import { spawnSync } from 'node:child_process';
import { lchownSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { type Binaries, OWN_SERVER } from './binaries.ts';

/** How to start a program of PostgreSQL, and who then owns its files. */
export interface Runner {
  label: string;
  /** Words before the program's own; each of them ends in `exec`, so the pid stays the same. */
  prefix: string[];
  ids: { uid: number; gid: number } | Record<never, never>;
  env: Record<string, string>;
  /** uid of the files, seen from outside of any namespace. */
  owner: number;
  /** Major version of the programs, such as 18. */
  major: number;
}

type Candidate = Omit<Runner, 'env' | 'major'>;

interface User {
  name: string;
  uid: number;
  gid: number;
  login: boolean;
}

/** Nothing of the caller's environment (PGPORT, LD_PRELOAD, LC_ALL …) may change the server. */
const ENVIRONMENT = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin:/run/current-system/sw/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
};

/**
 * Fast shutdown of the server when Node dies, however it dies. Not from a worker thread: the
 * kernel sends the signal when the starting *thread* ends. Set last, because changing user
 * clears it. Missing on macOS; the next start then stops what was left behind.
 */
const DIES_WITH_PARENT = ['setpriv', '--pdeathsig=INT'];

/**
 * Picks the first way that can run the binaries and enter `folder`, by trying.
 * Throws an Error with what each way said when none can.
 */
export function chooseRunner(binaries: Binaries, folder: string): Runner {
  const env = { ...ENVIRONMENT, ...binaries.env };
  const failures = new Map<string, string>();
  for (const candidate of candidates(folder)) {
    const bound = { ...candidate, prefix: [...candidate.prefix, ...DIES_WITH_PARENT] };
    for (const way of isMainThread ? [bound, candidate] : [candidate]) {
      const tried = tryRunner(way, env, binaries, folder);
      if (tried.major !== undefined) {
        return { ...way, env, major: tried.major };
      }
      failures.set(tried.output, way.label);
    }
  }
  const said = [...failures].map(([output, label]) => `${label}: ${output}`).join('\n');
  throw new Error(`${diagnose(folder, said)} ${OWN_SERVER}\n${said}`);
}

function diagnose(folder: string, said: string): string {
  if (said === '') {
    return 'PostgreSQL refuses to run as root, and /etc/passwd has no other user: add one.';
  }
  if (!/can't cd|EACCES|EPERM|EINVAL|not permitted|Permission denied/.test(said)) {
    return 'The bundled PostgreSQL needs Linux with glibc (not Alpine or another musl) or macOS.';
  }
  return process.getuid?.() === 0
    ? `PostgreSQL refuses to run as root, and no other user can enter ${folder} or run the ` +
        'files in node_modules. Move the project, for example to /srv.'
    : `This user cannot enter ${folder} or run the files in node_modules (noexec?).`;
}

function tryRunner(
  way: Candidate,
  env: Record<string, string>,
  binaries: Binaries,
  folder: string,
): { major?: number; output: string } {
  // initdb looks for itself with access(), as the server does later: let it say so, if it fails.
  const script = 'cd "$1" && "$2" --version >/dev/null && exec "$3" --version';
  const words = [...way.prefix, 'sh', '-c', script, 'sh', folder];
  const [program = '', ...rest] = [...words, binaries.postgres, binaries.initdb];
  const result = spawnSync(program, rest, {
    ...way.ids,
    env,
    cwd: '/',
    encoding: 'utf8',
    timeout: 20_000,
  });
  const complaint = (result.error?.message ?? result.stderr).trim();
  const major = /\(PostgreSQL\) (\d+)/.exec(result.stdout ?? '')?.[1];
  const lost = complaint.includes('invalid binary');
  if (result.status === 0 && !lost && major !== undefined) {
    return { major: Number(major), output: '' };
  }
  return { output: complaint || `ended with ${result.status ?? result.signal}` };
}

/**
 * Best first. Root's ways: the user whose folder it is (`sudo npm start` must not shut them
 * out), a user without rights, a user namespace, a single capability.
 */
function candidates(folder: string): Candidate[] {
  const me = process.getuid?.() ?? -1;
  const users = unprivilegedUsers();
  const mapped = users.slice(0, 1).map((user) => inNamespace(user, me));
  if (me !== 0) {
    const direct = { label: `uid ${me}`, prefix: [], ids: {}, owner: me };
    // initdb wants a name for its user; a container may run under a number that has none.
    return hasName() ? [direct] : [...mapped, direct];
  }
  const { uid } = statSync(folder);
  const [nobody, others] = [users.filter(isNobody), users.filter((user) => !isNobody(user))];
  return [
    ...users.filter((user) => user.uid === uid).map(asUser),
    ...nobody.map(asUser),
    ...mapped,
    ...others.slice(0, 1).map(asUser),
    ...users
      .slice(0, 1)
      .flatMap((user) => [
        withCapability(user, 'dac_read_search'),
        withCapability(user, 'dac_override'),
      ]),
  ];
}

function asUser({ name, uid, gid }: User): Candidate {
  return { label: `user ${name}`, prefix: [], ids: { uid, gid }, owner: uid };
}

/** Outside still the caller, so a folder that only root enters is no hindrance. */
function inNamespace({ name, uid, gid }: User, owner: number): Candidate {
  const prefix = ['unshare', '--user', `--map-user=${uid}`, `--map-group=${gid}`, '--'];
  return { label: `user namespace as ${name}`, prefix, ids: {}, owner };
}

/** For containers that allow no namespaces: a user who may also enter the folders of others. */
function withCapability({ name, uid, gid }: User, capability: string): Candidate {
  const prefix = [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    `--inh-caps=+${capability}`,
    `--ambient-caps=+${capability}`,
    // Without it access() ignores the capability, and initdb does not find itself.
    '--securebits=+no_setuid_fixup',
  ];
  return { label: `user ${name} with ${capability}`, prefix, ids: {}, owner: uid };
}

function hasName(): boolean {
  try {
    return userInfo().username !== '';
  } catch {
    return false;
  }
}

const isNobody = (user: User): boolean => user.name === 'nobody';

/** From /etc/passwd: nobody first, then accounts that nobody logs in to. */
function unprivilegedUsers(): User[] {
  let text = '';
  try {
    text = readFileSync('/etc/passwd', 'utf8');
  } catch {
    return [];
  }
  const rank = (user: User): number => (isNobody(user) ? 0 : user.login ? 2 : 1);
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 7)
    .map(([name = '', , uid, gid, , , shell = '']) => ({
      name,
      uid: Number(uid),
      gid: Number(gid),
      login: !/(nologin|false)$/.test(shell),
    }))
    .filter((user) => user.uid > 0 && user.gid > 0)
    .sort((a, b) => rank(a) - rank(b));
}

/**
 * Gives `path` and all below it to the runner: a moved project, or another way than last time.
 * Throws when the caller may not. The top goes last, so that an interrupted change is redone.
 */
export function giveTo(runner: Runner, path: string): void {
  const { uid } = lstatSync(path);
  if (uid === runner.owner) {
    return;
  }
  const me = process.getuid?.();
  if (me !== 0) {
    throw new Error(
      `${path} belongs to uid ${uid}, but this is uid ${me}. Run as that user, ` +
        `or \`sudo chown -R ${me} ${path}\`. ${OWN_SERVER}`,
    );
  }
  const gid = 'gid' in runner.ids ? runner.ids.gid : -1;
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    lchownSync(join(entry.parentPath, entry.name), runner.owner, gid);
  }
  lchownSync(path, runner.owner, gid);
}
