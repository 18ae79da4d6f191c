import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { resolvePassword } from '../src/password.ts';
import type { Password, PasswordSources } from '../src/password.ts';
import { makeTempDir } from './temp-dir.ts';

const NOTHING: PasswordSources = { command: undefined, file: undefined, text: undefined, insecureNoPassword: false };

function resolve(sources: Partial<PasswordSources>): Promise<Password | undefined> {
  return resolvePassword({ ...NOTHING, ...sources }, { signal: new AbortController().signal });
}

async function textOf(sources: Partial<PasswordSources>): Promise<string | undefined> {
  const password = await resolve(sources);
  return password === undefined ? undefined : Buffer.from(password).toString();
}

/** A command that prints `text` byte by byte as it is. */
function printing(text: string): string {
  return `${process.execPath} -e 'process.stdout.write(${JSON.stringify(text)})'`;
}

describe('resolvePassword', () => {
  it('prefers a command, then a file, then the environment', async () => {
    using dir = makeTempDir();
    const file = join(dir.path, 'password');
    writeFileSync(file, 'from file');
    expect(await textOf({ command: printing('from command'), text: 'from environment' })).toBe('from command');
    expect(await textOf({ file, text: 'from environment' })).toBe('from file');
    expect(await textOf({ text: 'from environment' })).toBe('from environment');
    expect(await resolve({})).toBeUndefined();
    await expect(resolve({ command: 'x', file })).rejects.toThrow('mutually exclusive');
  });

  it('trims files and output, but not the environment', async () => {
    using dir = makeTempDir();
    const file = join(dir.path, 'password');
    writeFileSync(file, '\r\n\t pass word \n\n');
    expect(await textOf({ file })).toBe('pass word');
    expect(await textOf({ command: printing(' pass word\n') })).toBe('pass word');
    expect(await textOf({ text: ' p\n' })).toBe(' p\n');
  });

  it.each([
    ['a byte order mark', Buffer.from('\ufeffpässword\n')],
    ['UTF-16 little-endian', Buffer.from('\ufeffpässword\r\n', 'utf16le')],
    ['UTF-16 big-endian', Buffer.from('\ufeffpässword\n', 'utf16le').swap16()],
  ])('reads a file with %s', async (_what, bytes) => {
    using dir = makeTempDir();
    const file = join(dir.path, 'password');
    writeFileSync(file, bytes);
    expect(await textOf({ file })).toBe('pässword');
  });

  it('keeps bytes that are not UTF-8', async () => {
    using dir = makeTempDir();
    const file = join(dir.path, 'password');
    writeFileSync(file, Buffer.from([0x0a, 0xa0, 0xff, 0x85, 0x20]));
    expect(await resolve({ file })).toEqual(Buffer.from([0xa0, 0xff, 0x85]));
  });

  it('refuses empty passwords', async () => {
    using dir = makeTempDir();
    const file = join(dir.path, 'password');
    writeFileSync(file, ' \n');
    await expect(resolve({ file })).rejects.toThrow('empty password');
    await expect(resolve({ command: printing('\n') })).rejects.toThrow('empty password');
  });

  it('takes the empty password only alone', async () => {
    expect(await resolve({ insecureNoPassword: true })).toBe('');
    await expect(resolve({ insecureNoPassword: true, text: 'x' })).rejects.toThrow('--insecure-no-password');
    await expect(resolve({ insecureNoPassword: true, file: 'x' })).rejects.toThrow('--insecure-no-password');
  });

  it('tells of a file that is not there', async () => {
    await expect(resolve({ file: '/nonexistent/password' })).rejects.toThrow('/nonexistent/password does not exist');
  });

  it('never tells what a command was given or what it printed', async () => {
    const secret = 'hunter2';
    const failing = `${process.execPath} -e 'process.stdout.write("${secret}"); process.exitCode = 3' ${secret}`;
    const problem = async (command: string): Promise<string> => {
      const error: unknown = await resolve({ command }).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(Error);
      return (error as Error).stack ?? '';
    };
    const failed = await problem(failing);
    expect(failed).toContain('exit status 3');
    expect(failed).not.toContain(secret);
    const missing = await problem(`/nonexistent/program ${secret}`);
    expect(missing).toContain('cannot run /nonexistent/program (ENOENT)');
    expect(missing).not.toContain(secret);
    expect(await problem(`pass '${secret}`)).not.toContain(secret);
  });

  it('ends the command when the signal fires', async () => {
    const controller = new AbortController();
    const command = `${process.execPath} -e 'setTimeout(() => {}, 60000)'`;
    const pending = resolvePassword({ ...NOTHING, command }, { signal: controller.signal });
    setTimeout(() => controller.abort(), 100);
    await expect(pending).rejects.toThrow('Resolving password failed');
  });
});
