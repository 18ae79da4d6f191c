/** Runs a program and measures it from outside, the same way for every program. Linux only: it reads /proc. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Measured {
  /** Wall clock, from the start of the process to its end. */
  readonly seconds: number;
  /** User and system time of all its threads. */
  readonly cpuSeconds: number;
  /** The most memory it held at once. */
  readonly peakRssBytes: number;
  readonly stdout: string;
}

const SAMPLE_EVERY_MS = 20;
/** Linux counts processor time in hundredths of a second towards programs (USER_HZ). */
const TICKS_A_SECOND = 100;

/** Runs one program at a time. Rejects with what it printed when it fails. */
export function measure(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const cpuBefore = childrenTicks();
    const since = performance.now();
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let peakRssBytes = 0;
    const sampling = setInterval(() => (peakRssBytes = Math.max(peakRssBytes, highWater(child.pid))), SAMPLE_EVERY_MS);
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.once('error', reject);
    child.once('close', (status) => {
      const seconds = (performance.now() - since) / 1000;
      clearInterval(sampling);
      const cpuSeconds = (childrenTicks() - cpuBefore) / TICKS_A_SECOND;
      if (status === 0) resolve({ seconds, cpuSeconds, peakRssBytes, stdout: Buffer.concat(stdout).toString() });
      else reject(new Error(`${command} ${args.join(' ')} failed (${status}): ${Buffer.concat(stderr).toString()}`));
    });
  });
}

/** The kernel keeps the peak itself, so a sample that comes a little before the end misses nothing of what was before. */
function highWater(pid: number | undefined): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Processor time of all children that have ended: fields 16 and 17 of proc(5), "/proc/pid/stat". */
function childrenTicks(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  // The second field is a name in parentheses that may contain anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[13]) + Number(fields[14]);
}
