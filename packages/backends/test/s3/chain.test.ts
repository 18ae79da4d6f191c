import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { S3_SCHEME } from '../../src/s3/scheme.ts';
import { refuse, startS3 } from './server.ts';
import type { Asked, S3Server } from './server.ts';

// The credential chain is the SDK's; these show that it is in use, and reaches servers on our way.

/** The environment of this process while a test runs: the SDK looks there. */
function stubEnvironment(variables: Readonly<Record<string, string>>): void {
  onTestFinished(() => void vi.unstubAllEnvs());
  for (const name of Object.keys(process.env).filter((each) => each.startsWith('AWS_'))) vi.stubEnv(name, undefined);
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
}

async function fileWith(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 's3-chain-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'file');
  await writeFile(path, text);
  return path;
}

/** How the first request of a backend with no keys of its own is signed. */
async function signedBy(server: S3Server, env: Readonly<Record<string, string>>): Promise<Asked['headers']> {
  const context = { options: new Map<string, string>(), env, http: {}, bandwidth: undefined };
  await using backend = await S3_SCHEME.open(`${server.url}bucket`, context);
  await expect(backend.load({ type: 'config', name: '' })).rejects.toMatchObject({ code: 'not-found' });
  return server.asked.at(-1)?.headers ?? {};
}

it.each([
  [{}, 'AKIADEFAULT'],
  [{ AWS_PROFILE: 'other' }, 'AKIAOTHER'],
])('keys of a profile: %j', async (env, key) => {
  const path = await fileWith(`[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key = x
[other]
aws_access_key_id = AKIAOTHER
aws_secret_access_key = x
`);
  stubEnvironment({ AWS_SHARED_CREDENTIALS_FILE: path, AWS_CONFIG_FILE: '/nonexistent' });
  await using server = await startS3((_, response) => refuse(response, 404, 'NoSuchKey'));
  expect((await signedBy(server, env))['authorization']).toContain(`Credential=${key}/`);
});

it('keys of a role, for the token of a service account', async () => {
  await using server = await startS3((asked, response) => {
    if (asked.method !== 'POST') return refuse(response, 404, 'NoSuchKey');
    const expiration = new Date(Date.now() + 3_600_000).toISOString();
    const keys = `<AccessKeyId>AKIAROLE</AccessKeyId><SecretAccessKey>x</SecretAccessKey><SessionToken>tok</SessionToken><Expiration>${expiration}</Expiration>`;
    const xmlns = 'https://sts.amazonaws.com/doc/2011-06-15/';
    response.setHeader('content-type', 'text/xml');
    response.end(
      `<AssumeRoleWithWebIdentityResponse xmlns="${xmlns}"><AssumeRoleWithWebIdentityResult><Credentials>${keys}</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
    );
  });
  stubEnvironment({
    AWS_WEB_IDENTITY_TOKEN_FILE: await fileWith('the token'),
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/backup',
    AWS_ENDPOINT_URL_STS: server.url,
    AWS_REGION: 'us-east-1',
    AWS_CONFIG_FILE: '/nonexistent',
    AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
  });
  const headers = await signedBy(server, {});
  expect(headers['authorization']).toContain('Credential=AKIAROLE/');
  expect(headers['x-amz-security-token']).toBe('tok');
  const [asked] = server.asked;
  expect(asked?.body.toString()).toContain('WebIdentityToken=the%20token');
  expect(asked?.headers['user-agent']).toBe('restic-engine');
});

it('keys that a role is refused are unauthorized', async () => {
  await using server = await startS3((_, response) => refuse(response, 403, 'AccessDenied'));
  stubEnvironment({
    AWS_WEB_IDENTITY_TOKEN_FILE: await fileWith('the token'),
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/backup',
    AWS_ENDPOINT_URL_STS: server.url,
    AWS_REGION: 'us-east-1',
    AWS_CONFIG_FILE: '/nonexistent',
    AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
  });
  const context = { options: new Map<string, string>(), env: {}, http: {}, bandwidth: undefined };
  await using backend = await S3_SCHEME.open(`${server.url}bucket`, context);
  await expect(backend.load({ type: 'config', name: '' })).rejects.toMatchObject({ code: 'unauthorized' });
});
