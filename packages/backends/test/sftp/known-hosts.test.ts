import { Buffer } from 'node:buffer';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hostKeyCheck } from '../../src/sftp/host-key.ts';
import type { HostKeyPolicy } from '../../src/sftp/host-key.ts';
import { fingerprint, hostName, judge, keyType, linesFor, parseKnownHosts } from '../../src/sftp/known-hosts.ts';

// Keys, hashed lines and fingerprints are ssh-keygen's (OpenSSH 9.2).
const ED25519 = 'AAAAC3NzaC1lZDI1NTE5AAAAIC/atGKBzer7xSN4s4A+r1l1EfxVlKbzwzqvFi42ATSg';
const OTHER = 'AAAAC3NzaC1lZDI1NTE5AAAAIGCfu1piFtqtWx6iTaE70zt2qAb/bBdHMp6x+2mBMuc+';
const ECDSA =
  'AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEHdEmp3W/DdSyaG6L168hK0sNm+T0ffLniBdjOWbYQ9dYS8xsklU64Rzq5wbdJQp1VLiuIKF2FrW/6AtnSiWQY=';
const HASHED = `|1|6dMOCvSGw2tFmKCXHN7+3+Mz/yU=|PcINj6oDgQC35eO5jxV7lpagsL0= ssh-ed25519 ${ED25519}
|1|vG22exPzHmzLIf5I68zORPtwb/I=|ZRp/wmYf3QnF6GbqIyhih2ph7sY= ecdsa-sha2-nistp256 ${ECDSA} `;

const bytes = (key: string): Buffer => Buffer.from(key, 'base64');

/** Does a line with these patterns speak of the host? */
const speaks = (hosts: string, name: string): boolean =>
  linesFor(parseKnownHosts(`${hosts} ssh-ed25519 ${ED25519}`), name).length === 1;

describe('known_hosts', () => {
  it.each([
    ['example.org', 'example.org', true],
    ['example.org', 'example.com', false],
    ['EXAMPLE.org', 'example.org', true],
    ['a,example.org,b', 'example.org', true],
    ['*.example.org', 'backup.example.org', true],
    ['*.example.org', 'example.org', false],
    ['192.0.2.?', '192.0.2.7', true],
    ['192.0.2.?', '192.0.2.17', false],
    ['*', '[host]:2222', true],
    ['*.org,!bad.example.org', 'bad.example.org', false],
    ['*.org,!bad.example.org', 'good.example.org', true],
    ['!bad.example.org', 'good.example.org', false],
    ['[example.org]:2222', '[example.org]:2222', true],
    ['[example.org]:2222', 'example.org', false],
    ['[::1]:2222', '[::1]:2222', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-b-b-d', false],
    [`${'*a'.repeat(200)}b`, 'a'.repeat(5000), false],
  ])('%s speaks of %s: %s', (hosts, name, expected) => {
    expect(speaks(hosts, name)).toBe(expected);
  });

  it('finds hashed names', () => {
    const lines = parseKnownHosts(HASHED);
    expect(judge(linesFor(lines, hostName('Example.org', 22)), bytes(ED25519))).toBe('known');
    expect(judge(linesFor(lines, hostName('example.org', 2222)), bytes(ECDSA))).toBe('known');
    expect(linesFor(lines, hostName('example.org', 2223))).toEqual([]);
  });

  it('leaves out what is no line', () => {
    const text = `# comment\n\nexample.org\nexample.org ssh-ed25519\n@strange a ssh-ed25519 ${ED25519}\n|2|x|y ssh-rsa AAAA\n`;
    expect(parseKnownHosts(text)).toHaveLength(1);
    expect(linesFor(parseKnownHosts(text), 'example.org')).toEqual([]);
  });

  it('takes any text', () => {
    const property = fc.property(fc.string({ unit: 'binary' }), fc.string(), (text, name) => {
      expect(judge(linesFor(parseKnownHosts(text), name), bytes(ED25519))).not.toBe('known');
    });
    fc.assert(property, { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false });
  });

  it('tells what is known of a key', () => {
    const lines = (text: string) => parseKnownHosts(text);
    const known = `h ssh-ed25519 ${ED25519}`;
    expect(judge([], bytes(ED25519))).toBe('unknown');
    expect(judge(lines(known), bytes(OTHER))).toBe('changed');
    expect(judge(lines(known), bytes(ECDSA))).toBe('changed');
    expect(judge(lines(`${known}\nh ecdsa-sha2-nistp256 ${ECDSA}`), bytes(ECDSA))).toBe('known');
    expect(judge(lines(`${known}\n@revoked h ssh-ed25519 ${ED25519}`), bytes(ED25519))).toBe('revoked');
    expect(judge(lines(`@cert-authority h ssh-ed25519 ${OTHER}`), bytes(ED25519))).toBe('authority-only');
    expect(judge(lines(`@cert-authority h ssh-ed25519 ${ED25519}`), bytes(ED25519))).toBe('authority-only');
  });

  it('names keys as ssh does', () => {
    expect(fingerprint(bytes(ED25519))).toBe('SHA256:desFQhEAu9sCcrRTin1fL3HLDy9uyjseSUGSNhqCiMg');
    expect(fingerprint(bytes(ECDSA))).toBe('SHA256:qmHTNPiCjQUeZgfXb02r2ga4q+jpUiGfse54KhoUFLo');
    expect([ED25519, ECDSA].map((key) => keyType(bytes(key)))).toEqual(['ssh-ed25519', 'ecdsa-sha2-nistp256']);
    expect(keyType(Buffer.alloc(2))).toBe('');
  });
});

describe('the check of a host key', () => {
  const policy = (changes: Partial<HostKeyPolicy> = {}): HostKeyPolicy => ({
    host: 'example.org',
    port: 22,
    text: '',
    files: [],
    accept: 'strict',
    ...changes,
  });

  it('asks for algorithms of known keys first', async () => {
    const { algorithms } = await hostKeyCheck(policy({ text: `example.org ssh-rsa AAAA\nother ssh-dss AAAA` }));
    expect(algorithms.slice(0, 3)).toEqual(['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa']);
    expect(algorithms).toContain('ssh-ed25519');
  });

  it('lets a key known without the port pass, and holds none against it', async () => {
    const text = `example.org ssh-ed25519 ${ED25519}`;
    const { check } = await hostKeyCheck(policy({ text, port: 2222 }));
    await check(bytes(ED25519));
    await expect(check(bytes(OTHER))).rejects.toMatchObject({
      code: 'untrusted',
      message: expect.stringContaining('ssh-keyscan -p 2222 example.org'),
    });
  });

  it('says what to do about a key that changed', async () => {
    const text = `[example.org]:2222 ssh-ed25519 ${ED25519}`;
    const { check } = await hostKeyCheck(policy({ text, port: 2222, accept: 'new', files: ['/tmp/none/known'] }));
    await expect(check(bytes(OTHER))).rejects.toMatchObject({
      code: 'untrusted',
      message: expect.stringContaining("ssh-keygen -R '[example.org]:2222' -f /tmp/none/known"),
      context: { host: '[example.org]:2222', keyType: 'ssh-ed25519', fingerprint: fingerprint(bytes(OTHER)) },
    });
  });

  it('says that authorities are not supported', async () => {
    const { check } = await hostKeyCheck(policy({ text: `@cert-authority * ssh-ed25519 ${OTHER}` }));
    await expect(check(bytes(ED25519))).rejects.toMatchObject({
      code: 'untrusted',
      message: expect.stringContaining('certificate'),
    });
  });

  it('notes the key of a new host where it may, and only accepts that one from then on', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'known-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, '.ssh/known_hosts');
    const accepting = policy({ files: [file, join(folder, 'second')], port: 2222, accept: 'new' });
    await (await hostKeyCheck(accepting)).check(bytes(ED25519));
    expect(await readFile(file, 'utf8')).toBe(`[example.org]:2222 ssh-ed25519 ${ED25519}\n`);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const again = await hostKeyCheck(accepting);
    await again.check(bytes(ED25519));
    await expect(again.check(bytes(OTHER))).rejects.toMatchObject({ code: 'untrusted' });
  });

  it('lets somebody else decide about the key of a new host, though not about one that changed', async () => {
    const lines: string[] = [];
    const learn = async (line: string): Promise<void> => {
      lines.push(line);
      if (line.includes(OTHER)) throw new Error('not this one');
    };
    const asking = await hostKeyCheck(policy({ port: 2222, learn }));
    await asking.check(bytes(ED25519));
    await expect(asking.check(bytes(OTHER))).rejects.toThrow('not this one');
    expect(lines).toEqual([ED25519, OTHER].map((key) => `[example.org]:2222 ssh-ed25519 ${key}`));
    const knowing = await hostKeyCheck(policy({ text: `example.org ssh-ed25519 ${ED25519}`, learn }));
    await knowing.check(bytes(ED25519));
    await expect(knowing.check(bytes(OTHER))).rejects.toMatchObject({ code: 'untrusted' });
    expect(lines.length).toBe(2);
  });

  it('cannot do without a file that is there and cannot be read', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'known-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'file'), '');
    expect((await hostKeyCheck(policy({ files: [join(folder, 'file/below')] }))).algorithms).toContain('ssh-ed25519');
    await expect(hostKeyCheck(policy({ files: [folder] }))).rejects.toMatchObject({ code: 'denied' });
  });
});
