/** The platform as Node sees it. */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import process from 'node:process';
import { EngineError, parseTzif, UTC, zoneFiles } from '@restic-engine/repo-format';
import type { TimeZone } from '@restic-engine/repo-format';
import type { Platform } from './platform.ts';

/** The local machine: its clock, its zone by the rule Go uses, its host and user name. */
export function nodePlatform(env: NodeJS.ProcessEnv = process.env): Platform {
  let zone: TimeZone | undefined;
  return {
    now() {
      const ms = Date.now();
      const seconds = Math.floor(ms / 1000);
      // Below the millisecond the clock of the process tells times apart; it is not synchronised with the other.
      const micros = Math.floor((performance.now() % 1) * 1000);
      return { seconds, nanoseconds: (ms - seconds * 1000) * 1_000_000 + micros * 1000 };
    },
    get zone() {
      return (zone ??= localZone(env['TZ']));
    },
    hostname: os.hostname(),
    get username() {
      return userName();
    },
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    pid: process.pid,
    isAlive,
    ignoreHangups,
  };
}

/** An account without a name in the user database is no reason to fail. */
function userName(): string {
  try {
    return os.userInfo().username;
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: there is one, it is only not ours.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

let ignoring = 0;

function ignoreHangup(): void {
  // Being asked is answered by being alive.
}

/** One listener for all that ask: Node warns of many. */
function ignoreHangups(): () => void {
  let isOver = false;
  if (ignoring++ === 0) process.on('SIGHUP', ignoreHangup);
  return () => {
    if (!isOver && --ignoring === 0) process.off('SIGHUP', ignoreHangup);
    isOver = true;
  };
}

/** The first zone file that can be read, as a Go program would choose it; UTC without one. */
function localZone(tz: string | undefined): TimeZone {
  for (const path of zoneFiles(tz)) {
    const zone = readZone(path);
    if (zone !== undefined) return { ...zone, name: zoneName(tz, path) };
  }
  return { ...UTC, name: 'UTC' };
}

function zoneName(tz: string | undefined, path: string): string {
  return tz === undefined || path === '/etc/localtime' ? 'Local' : tz.replace(/^:/, '');
}

function readZone(path: string): TimeZone | undefined {
  try {
    return parseTzif(readFileSync(path));
  } catch (error) {
    if (EngineError.is(error, 'corrupt') || (error instanceof Error && 'code' in error)) return undefined;
    throw error;
  }
}
