import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { httpOptions, resolveTransport } from '../src/transport.ts';
import type { Transport } from '../src/transport.ts';
import { splitCommas } from '../src/values/comma-list.ts';
import { makeTempDir } from './temp-dir.ts';

const NOTHING: Transport = {
  options: {},
  caFiles: [],
  clientCertFile: undefined,
  insecureTls: false,
  userAgent: undefined,
  stuckRequestMs: undefined,
  uploadLimit: undefined,
  downloadLimit: undefined,
};
const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n';
const KEY = '-----BEGIN EC PRIVATE KEY-----\nMA==\n-----END EC PRIVATE KEY-----\n';

describe('resolveTransport', () => {
  it('has defaults, and takes what is empty for absent', () => {
    expect(resolveTransport({}, {})).toEqual(NOTHING);
    const env = { RESTIC_CACERT: '', RESTIC_TLS_CLIENT_CERT: '', RESTIC_HTTP_USER_AGENT: '' };
    expect(resolveTransport({ option: [''], stuckRequestTimeout: '0' }, env)).toEqual(NOTHING);
  });

  it('reads the environment, and prefers flags', () => {
    const env = { RESTIC_CACERT: 'a.pem,"b,c.pem"', RESTIC_TLS_CLIENT_CERT: 'd.pem', RESTIC_HTTP_USER_AGENT: 'e' };
    expect(resolveTransport({}, env)).toEqual({
      ...NOTHING,
      caFiles: ['a.pem', 'b,c.pem'],
      clientCertFile: 'd.pem',
      userAgent: 'e',
    });
    const flags = { cacert: ['f.pem,g.pem', 'h.pem'], tlsClientCert: 'i.pem', httpUserAgent: 'j' };
    expect(resolveTransport(flags, env)).toEqual({
      ...NOTHING,
      caFiles: ['f.pem', 'g.pem', 'h.pem'],
      clientCertFile: 'i.pem',
      userAgent: 'j',
    });
  });

  it('reads extended options as restic does', () => {
    const option = ['S3.Region = eu-central-1 ', 'sftp.args=-o A=b', '"sftp.command=ssh a,b",local.connections=3', 'x'];
    expect(resolveTransport({ option }, {}).options).toEqual({
      's3.region': 'eu-central-1',
      'sftp.args': '-o A=b',
      'sftp.command': 'ssh a,b',
      'local.connections': '3',
      x: '',
    });
    expect(resolveTransport({ option: ['a=1', 'a=1'] }, {}).options).toEqual({ a: '1' });
    expect(() => resolveTransport({ option: ['a=1,a=2'] }, {})).toThrow('key "a" present more than once');
    expect(() => resolveTransport({ option: ['=1'] }, {})).toThrow('empty key');
    expect(() => resolveTransport({ option: ['a=b"c'] }, {})).toThrow('--option: ');
  });

  it('takes limits in KiB a second, where 0 and less are none', () => {
    const limits = (limitUpload: string, limitDownload: string): unknown[] => {
      const { uploadLimit, downloadLimit } = resolveTransport({ limitUpload, limitDownload }, {});
      return [uploadLimit, downloadLimit];
    };
    expect(limits('100', '1')).toEqual([102_400, 1024]);
    expect(limits('0', '-5')).toEqual([undefined, undefined]);
    expect(() => limits('1.5', '1')).toThrow('--limit-upload: invalid rate "1.5"');
    expect(() => limits('1', '5k')).toThrow('--limit-download');
  });

  it('takes Go durations', () => {
    expect(resolveTransport({ stuckRequestTimeout: '1m30s' }, {}).stuckRequestMs).toBe(90_000);
    expect(() => resolveTransport({ stuckRequestTimeout: '90' }, {})).toThrow('--stuck-request-timeout');
  });
});

describe('httpOptions', () => {
  it('reads the certificates', async () => {
    using dir = makeTempDir();
    const [ca, client] = [join(dir.path, 'ca.pem'), join(dir.path, 'client.pem')];
    writeFileSync(ca, CERTIFICATE);
    writeFileSync(client, CERTIFICATE + KEY);
    const transport = { ...NOTHING, caFiles: [ca, client], clientCertFile: client, userAgent: 'me', stuckRequestMs: 5 };
    await expect(httpOptions(transport)).resolves.toEqual({
      caCertificates: [CERTIFICATE, CERTIFICATE + KEY],
      clientCertificate: CERTIFICATE + KEY,
      insecureTls: false,
      userAgent: 'me',
      stuckRequestMs: 5,
    });
    await expect(httpOptions(NOTHING)).resolves.toEqual({ insecureTls: false });
  });

  it('refuses files that are missing or are something else, and names them', async () => {
    using dir = makeTempDir();
    const [none, text, ca] = ['none', 'text', 'ca.pem'].map((name) => join(dir.path, name)) as [string, string, string];
    writeFileSync(text, 'hello');
    writeFileSync(ca, CERTIFICATE);
    const message = (change: Partial<Transport>): Promise<string> =>
      httpOptions({ ...NOTHING, ...change }).then(String, (error: Error) => error.message);
    expect(await message({ caFiles: [none] })).toMatch(/^unable to read root certificate: ENOENT.*none'$/);
    expect(await message({ caFiles: [text] })).toBe(
      `cannot parse root certificate from "${text}": there is no CERTIFICATE in it`,
    );
    expect(await message({ clientCertFile: ca })).toContain('there is no PRIVATE KEY in it');
  });
});

describe('splitCommas', () => {
  it.each<[string, string[]]>([
    ['', []],
    ['a', ['a']],
    ['a,b,', ['a', 'b', '']],
    [' a , b', [' a ', ' b']],
    ['"a,b",c', ['a,b', 'c']],
    ['"say ""hi""",c', ['say "hi"', 'c']],
    ['""', ['']],
  ])('%j → %j', (text, parts) => {
    expect(splitCommas(text)).toEqual(parts);
  });

  it.each(['a"b', '"a', '"a"b', 'a,"'])('refuses %j', (text) => {
    expect(() => splitCommas(text)).toThrow('quotes');
  });
});
