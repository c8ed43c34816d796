/** What processes use, by `/proc`; where there is none (macOS) everything reads as 0. */

import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second as `/proc` counts them: 100 on every Linux that Node runs on. */
const TICKS = 100;

/** Memory of a process, in bytes: what is resident, or another field of its status. */
export function memoryOf(pid: number, field = 'VmRSS'): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(read(`/proc/${pid}/status`));
  return Number(line?.[1] ?? 0) * 1024;
}

/** Seconds of CPU that a process has used, with those of its children that have ended. */
export function cpuOf(pid: number): number {
  const fields = fieldsOf(pid);
  return [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i] ?? 0), 0) / TICKS;
}

/** Seconds of CPU of those children of ours that have ended. */
export function cpuOfEnded(): number {
  const fields = fieldsOf(process.pid);
  return (Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) / TICKS;
}

/** The same as `cpuOf` for a process and all that it started and that still runs. */
export function cpuOfTree(root: number): number {
  return treeOf(root).reduce((sum, pid) => sum + cpuOf(pid), 0);
}

/** A process and all its children's children that still run. */
export function treeOf(root: number): number[] {
  const parents = new Map(
    list('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => [Number(name), parentOf(Number(name))]),
  );
  const tree = [root];
  for (const pid of tree) {
    for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  }
  return tree;
}

/** The parent of a process; 0 when it is gone. */
export function parentOf(pid: number): number {
  return Number(fieldsOf(pid)[1] ?? 0);
}

/** What follows the command's name, which may hold spaces and brackets. */
function fieldsOf(pid: number): string[] {
  return read(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ');
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** What ended meanwhile reads as nothing. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
