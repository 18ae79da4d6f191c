import { expect, it } from 'vitest';
import { isNewer } from '../../src/operator/version.ts';

// Semantic Versioning 2.0.0, item 11, and what Che calls versions.
const ASCENDING = [
  [
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0-rc.1',
    '1.0.0',
  ],
  ['7.9.0', '7.10.0', '7.90.0', '8.0.0'],
  ['v7.41.0', '7.41.1', '10.0.0'],
];

it('knows which of two versions is newer', () => {
  for (const versions of ASCENDING) {
    for (const [at, version] of versions.entries()) {
      for (const [other, than] of versions.entries())
        expect([version, than, isNewer(version, than)]).toEqual([version, than, at > other]);
    }
  }
});

it.each(['next', '', '7.41', '7.41.0.1', '7.x.0', 'latest'])('compares %s with nothing', (odd) => {
  expect([isNewer(odd, '7.0.0'), isNewer('7.0.0', odd)]).toEqual([false, false]);
});
