import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasBucketHosts, parsePlace, regionOfEndpoint, showPlace } from '../../src/s3/place.ts';
import type { S3Place } from '../../src/s3/place.ts';

const place = (endpoint: string | undefined, bucket: string, prefix: string): S3Place => ({ endpoint, bucket, prefix });

describe('a location', () => {
  it.each<[string, S3Place]>([
    // restic's manual
    ['s3.amazonaws.com/bucket', place(undefined, 'bucket', '')],
    ['s3.us-west-2.amazonaws.com/bucket_name', place('https://s3.us-west-2.amazonaws.com', 'bucket_name', '')],
    ['http://localhost:9000/restic', place('http://localhost:9000', 'restic', '')],
    ['https://server:8080/bucket/a/b', place('https://server:8080', 'bucket', 'a/b')],
    ['host:9000/bucket/prefix', place('https://host:9000', 'bucket', 'prefix')],
    ['host/bucket', place('https://host', 'bucket', '')],
    ['//host.example/bucket/prefix', place('https://host.example', 'bucket', 'prefix')],
    ['//localhost/bucket', place('https://localhost', 'bucket', '')],
    ['//host:9000/bucket', place('https://host:9000', 'bucket', '')],
    ['//[::1]:9000/bucket', place('https://[::1]:9000', 'bucket', '')],
    ['https://[::1]/bucket', place('https://[::1]', 'bucket', '')],
    // a bucket of Amazon's
    ['//bucket', place(undefined, 'bucket', '')],
    ['//bucket/a/b', place(undefined, 'bucket', 'a/b')],
    // paths are cleaned
    ['host/bucket/', place('https://host', 'bucket', '')],
    ['host/bucket//a/./b/../c/', place('https://host', 'bucket', 'a/c')],
    ['host/bucket/../../a', place('https://host', 'bucket', 'a')],
    ['host/bucket/ä b&c', place('https://host', 'bucket', 'ä b&c')],
    ['HTTPS://Host/bucket', place('https://host', 'bucket', '')],
    ['http://s3.amazonaws.com/bucket', place('http://s3.amazonaws.com', 'bucket', '')],
  ])('%s', (text, expected) => {
    expect(parsePlace(text)).toEqual(expected);
    expect(parsePlace(showPlace(expected).slice('s3:'.length))).toEqual(expected);
  });

  it.each([
    ['host', 'bucket is missing'],
    ['host/', 'bucket is missing'],
    ['https://host', 'bucket is missing'],
    ['/bucket', 'host is missing'],
    ['https:///bucket', 'host is missing'],
    ['//host.example//prefix', 'bucket is missing'],
    ['AKIA:secret@host/bucket', 'keys do not belong'],
    ['https://AKIA:secret@host/bucket', 'keys do not belong'],
    ['host:port/bucket', 'cannot be understood'],
    ['host:99999/bucket', 'cannot be understood'],
    ['ho st/bucket', 'cannot be understood'],
    ['host?secret/bucket', '? or #'],
    ['host/bucket?X-Amz-Signature=secret', 'name of a bucket'],
    ['host/../prefix', 'name of a bucket'],
    ['host/b\0/prefix', 'name of a bucket'],
  ])('%j is refused with a right one', (text, why) => {
    const attempt = (): S3Place => parsePlace(text);
    expect(attempt).toThrow(expect.objectContaining({ code: 'bad-request', message: expect.stringContaining(why) }));
    expect(attempt).toThrow('s3:https://host:9000/bucket/folder');
    expect(attempt).not.toThrow('secret');
  });

  it('is understood or refused, whatever it is', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.constantFrom('http:', '/', '//', '.', '..', ':', '@', 'a', '[', ']', '?', '%2f'), { maxLength: 12 }),
    );
    fc.assert(
      fc.property(text, (parts) => {
        try {
          const { bucket, prefix } = parsePlace([parts].flat().join(''));
          expect(bucket).toMatch(/^[\w.:-]+$/);
          expect(prefix.split('/')).not.toContain('..');
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad-request' });
        }
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });
});

describe('the name of a server', () => {
  it.each([
    ['https://s3.eu-central-1.amazonaws.com', 'eu-central-1'],
    ['https://s3-eu-west-1.amazonaws.com', 'eu-west-1'],
    ['https://s3.dualstack.eu-west-3.amazonaws.com', 'eu-west-3'],
    ['https://s3-fips.us-gov-west-1.amazonaws.com', 'us-gov-west-1'],
    ['https://s3.cn-north-1.amazonaws.com.cn', 'cn-north-1'],
    ['https://s3.amazonaws.com', undefined],
    ['https://s3.eu-central-1.example.com', undefined],
    ['https://evil-s3.eu-central-1.amazonaws.com', undefined],
    [undefined, undefined],
  ])('%s holds the region %s', (endpoint, region) => {
    expect(regionOfEndpoint(endpoint)).toBe(region);
  });

  it.each([
    [undefined, 'bucket', true],
    [undefined, 'my.bucket', false],
    ['http://s3.eu-west-1.amazonaws.com', 'my.bucket', true],
    ['https://s3.eu-west-1.amazonaws.com', 'bucket', true],
    ['https://oss-eu-central-1.aliyuncs.com', 'bucket', true],
    ['https://storage.googleapis.com', 'bucket', true],
    ['https://minio.example', 'bucket', false],
    ['http://127.0.0.1:9000', 'bucket', false],
  ])('%s has a host for %s: %s', (endpoint, bucket, expected) => {
    expect(hasBucketHosts(endpoint, bucket)).toBe(expected);
  });
});
